"""The base class of all steps of one component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent


@dataclass(frozen=True)
class ComponentStep:
    """A step of one component: its id is "component/act"."""

    context: Context
    resolved: ResolvedComponent

    act: ClassVar[str] = ""

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/{self.act}"

    @property
    def layer(self) -> str:
        return self.resolved.layer
