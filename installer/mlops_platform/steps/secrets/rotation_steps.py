"""Owns the steps of a rotation: a new value, the roll, the end of the old value."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.steps.secrets.rotation import RotatableSecret


@dataclass(frozen=True)
class ChangeSecret:
    """A new value in the store, the program and the cluster; without `new` only one that was begun."""

    context: Context
    component: Component
    secret: RotatableSecret
    requires: tuple[str, ...]
    new: bool

    @property
    def id(self) -> str:
        return f"{self.component.name}/rotate-{self.secret.name}"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from mlops_platform.steps.secrets.rotation import pending

        if self.new:
            return Difference("make a new value")
        return Difference("bring the store's value in") if pending(self.context, self.secret) else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.secrets.rotation import change

        change(self.context, self.context.clients.kube_for_write(), self.secret, progress, new=self.new)


@dataclass(frozen=True)
class EndSecret:
    """The value before the newest, ended where it had to work until every pod has the new one."""

    context: Context
    component: Component
    secret: RotatableSecret
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/old-{self.secret.name}"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        return Difference("prove that the old value is refused")

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.secrets.rotation import finish

        finish(self.context, self.context.clients.kube_for_write(), self.secret, progress)
