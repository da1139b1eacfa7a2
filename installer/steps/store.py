"""Owns the steps of the secret store: set up for the components there are, and let to rotate passwords."""

from __future__ import annotations

from dataclasses import dataclass

from installer.catalog import Component
from installer.component import Engine
from installer.context import Context
from installer.engine.steps import Difference
from installer.progress import Progress


@dataclass(frozen=True)
class SetUpStore:
    """Initialised and unsealed; a policy and a role for every component."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/setup"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from installer.store import observe

        return observe(self.context)

    def run(self, progress: Progress) -> None:
        from installer.store import run

        run(self.context, self.context.bench.changing(), progress)


def engine_of(component: Component) -> Engine | None:
    """How the store rotates passwords of accounts at this component."""
    return next((p.engine for p in component.provides.values() if p.engine), None)


@dataclass(frozen=True)
class LetStoreRotate:
    """The store's own role at a provider, with which it rotates the others' passwords."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/rotation"

    @property
    def layer(self) -> str:
        return self.component.layer

    def _engine(self) -> Engine:
        engine = engine_of(self.component)
        assert engine, "a step for a component without an engine"
        return engine

    def observe(self) -> Difference | None:
        from installer.store import observe_engine

        return observe_engine(self.context, self.component, self._engine())

    def run(self, progress: Progress) -> None:
        from installer.store import run_engine

        run_engine(self.context, self.context.bench.changing(), self.component, self._engine(), progress)
