"""Owns the steps that prove the network: that policies are enforced at all, then who reaches whom."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.base.errors import SmokeError
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.checks import CANARY, MATRIX
from mlops_platform.engine.graph import Difference
from mlops_platform.engine.result import Result, save
from mlops_platform.run.context import Context

if TYPE_CHECKING:
    from mlops_platform.steps.network.policies import Manifest

LAYER = "policies"
PROBE_IMAGE = "toolbox"
_SHOWN = 12  # failures told one by one; a network that enforces nothing fails them all


@dataclass(frozen=True)
class VerifyEnforcement:
    """Two pods and four policies; passed once for a cluster, they are not asked again by `up`.

    The platform's own namespace, where no pod runs, is closed as every other.
    """

    context: Context
    requires: tuple[str, ...]
    id: str = "policies/enforced"
    layer: str = LAYER

    def _digest(self) -> str:
        from mlops_platform.smoke import canary

        text = canary.SCRIPT.read_text() + repr(canary.phases("canary"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _base(self) -> tuple[Manifest, ...]:
        from mlops_platform.steps.network.policies import base, placed

        return placed(base(self.context), PLATFORM_NAMESPACE)

    def observe(self) -> Difference | None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.steps.network.policies import difference

        kube = self.context.clients.kube
        if not record.passed(kube, CANARY, self._digest()):
            return Difference("prove that policies are enforced")
        firewall = difference(kube, PLATFORM_NAMESPACE, self._base())
        return Difference(firewall) if firewall else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import canary
        from mlops_platform.steps.network.policies import enforce

        context, kube = self.context, self.context.clients.kube_for_write()
        enforce(kube, PLATFORM_NAMESPACE, self._base())
        image = context.images.reference(PROBE_IMAGE)
        results = canary.run(kube, context.environment.name, image, progress, context.cancel)
        save(context.run_folder, CANARY, results)
        record.write(kube, CANARY, self._digest(), results)
        failed = next((result for result in results if not result.ok), None)
        if failed is None:
            return
        if not failed.refusal:
            raise SmokeError(
                f"the network lets nothing through: {failed.name}",
                why=failed.detail,
                hint="policies or the network plugin stand in the way; nothing can be proven until pods talk",
                command=kube.kubectl("get", "pods", "--all-namespaces", "--output", "wide"),
            )
        raise SmokeError(
            "this cluster does not enforce network policies",
            why=f"{failed.name.removeprefix('refused: ')}: {failed.detail}",
            hint="switch on its network plugin's policy enforcement, or install one that has it "
            "(docs/security.md); until then every pod reaches every other",
            command=kube.kubectl("get", "pods", "--namespace", "kube-system"),
        )


@dataclass(frozen=True)
class VerifyMatrix:
    """Every pair of components, both signs; passed once for all policies, `up` does not ask again."""

    context: Context
    requires: tuple[str, ...]
    always: bool = False
    id: str = "matrix/smoke"
    layer: str = LAYER

    def observe(self) -> Difference | None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import matrix

        if self.always:
            return Difference("prove")
        passed = record.passed(self.context.clients.kube, MATRIX, matrix.digest(self.context))
        return None if passed else Difference("prove who reaches whom")

    def run(self, progress: Progress) -> None:
        from mlops_platform.engine import stored_results as record
        from mlops_platform.smoke import matrix

        context, kube = self.context, self.context.clients.kube_for_write()
        results = matrix.run(context, kube, context.images.reference(PROBE_IMAGE), progress)
        save(context.run_folder, MATRIX, results)
        record.write(kube, MATRIX, matrix.digest(context), results)
        failed = [result for result in results if not result.ok]
        if failed:
            raise SmokeError(
                f"the network: {len(failed)} of {len(results)} answers are wrong",
                why=_told(failed),
                hint="`policies show` says who may reach whom; mend, and run smoke again",
                command=f"mlops-platform smoke matrix --env {context.environment.name}",
                evidence=context.run_folder / "evidence" / "matrix",
            )


def _told(failed: Sequence[Result]) -> str:
    lines = [f"{result.name}: {result.detail}" for result in failed[:_SHOWN]]
    return "\n".join([*lines, *([f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else [])])
