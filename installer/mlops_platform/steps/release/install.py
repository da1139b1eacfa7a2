"""The step that installs or upgrades a component's Helm release."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube.readiness import waiting_for
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.release.checks.release import checked
from mlops_platform.steps.release.checks.rights import short
from mlops_platform.steps.release.values import release_of


@dataclass(frozen=True)
class InstallRelease(ComponentStep):
    """Install or upgrade, only if the release's digest differs."""

    act = "release"

    def observe(self) -> Difference | None:
        helm, resolved = self.context.helm, self.resolved
        wanted = release_of(self.context, resolved)
        found = helm.installed().get((resolved.namespace, resolved.name))
        if not found:
            rights = short(resolved.component.cluster_rights)
            return Difference("install", (rights,) if rights else ())
        if found.status != "deployed":
            return Difference(f"recover from {found.status}")
        if found.digest != helm.digest(wanted):
            return Difference("upgrade", tuple(helm.diff(wanted)))
        waiting = waiting_for(self.context.clients.kube, resolved.namespace, resolved.name)
        return Difference(waiting) if waiting else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        helm, resolved = self.context.helm, self.resolved
        helm.recover(resolved.namespace, resolved.name, progress)
        check = checked(self.context, resolved)
        helm.upgrade(release_of(self.context, resolved), progress, self.context.cancel, check)
