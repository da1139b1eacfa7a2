"""The base classes of steps: of one component, and of the environment."""

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


@dataclass(frozen=True)
class EnvironmentStep:
    """A step of no component.

    `path` is its id. A step on one object of several names a field in it, with {0} for the step:
    "image/{0.name}".
    """

    context: Context

    path: ClassVar[str]
    layer: ClassVar[str]

    @property
    def id(self) -> str:
        return self.path.format(self)
