"""Owns the steps of the secret store: set up for the components there are, and let to rotate passwords."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.errors import SmokeError
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.catalogue.checks import IDENTITIES
from mlops_platform.catalogue.component import Engine
from mlops_platform.engine.graph import Difference
from mlops_platform.engine.result import save
from mlops_platform.run.context import Context


@dataclass(frozen=True)
class ConfigureVault:
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
        from mlops_platform.steps.secrets.vault import observe

        return observe(self.context)

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.secrets.vault import run

        run(self.context, self.context.clients.kube_for_write(), progress)


def engine_of(component: Component) -> Engine | None:
    """How the store rotates passwords of accounts at this component."""
    return next((p.engine for p in component.provides.values() if p.engine), None)


@dataclass(frozen=True)
class ConfigureDatabaseEngine:
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
        from mlops_platform.steps.secrets.vault import observe_engine

        return observe_engine(self.context, self.component, self._engine())

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.secrets.vault import run_engine

        run_engine(
            self.context, self.context.clients.kube_for_write(), self.component, self._engine(), progress
        )


@dataclass(frozen=True)
class VerifyIdentities:
    """Who reads what in the store, every pair; passed once for all policies, `up` does not ask again."""

    context: Context
    requires: tuple[str, ...]
    always: bool = False
    id: str = f"{IDENTITIES}/smoke"

    @property
    def layer(self) -> str:
        return self.context.store.layer if self.context.store else ""

    def observe(self) -> Difference | None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import identities

        if self.always:
            return Difference("prove")
        passed = record.passed(self.context.clients.kube, IDENTITIES, identities.digest(self.context))
        return None if passed else Difference("prove who reads what")

    def run(self, progress: Progress) -> None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import identities

        context, kube = self.context, self.context.clients.kube_for_write()
        results = identities.run(context, progress)
        save(context.run_folder, IDENTITIES, results)
        record.write(kube, IDENTITIES, identities.digest(context), results)
        failed = [result for result in results if not result.ok]
        if failed:
            raise SmokeError(
                f"the secret store: {len(failed)} of {len(results)} answers are wrong",
                why="\n".join(f"{result.name}: {result.detail}" for result in failed),
                hint="somebody changed its policies or roles; up sets them up again",
                command=f"mlops-platform up --env {context.environment.name}",
            )
