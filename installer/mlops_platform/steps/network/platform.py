"""The platform's own namespace, in which no pod runs: it has the same policies as all others."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.steps.network import policies

LAYER = "policies"


@dataclass(frozen=True)
class ClosePlatformNamespace(EnvironmentStep):
    """Apply the policies of every namespace to the platform's own."""

    path = "policies/platform"
    layer = LAYER

    def _wanted(self) -> tuple[policies.Manifest, ...]:
        return policies.placed(policies.base(self.context), PLATFORM_NAMESPACE)

    def observe(self) -> Difference | None:
        wrong = policies.difference(self.context.clients.kube, PLATFORM_NAMESPACE, self._wanted())
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        policies.enforce(self.context.clients.kube_for_write(), PLATFORM_NAMESPACE, self._wanted())
