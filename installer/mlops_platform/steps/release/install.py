"""The step that installs or upgrades a component's Helm release."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.helm import Installed
from mlops_platform.adapters.kube.readiness import waiting_for
from mlops_platform.adapters.kube.webhooks import stopped, wait_answering
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import COMPONENT_LABEL
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.release.checks.release import checked
from mlops_platform.steps.release.checks.rights import short
from mlops_platform.steps.release.values import release_of

# A cold controller needs some seconds; an APIService is called once in 30 s at most.
_ANSWER_SECONDS = 180.0


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
        waiting = waiting or self._silent(found)
        return Difference(waiting) if waiting else None

    def _silent(self, found: Installed) -> str:
        """Why webhooks may not answer: a killed run has not waited for them, or the operator was stopped."""
        hooks = self.resolved.component.webhook_certificate
        if not hooks:
            return ""
        if not found.answered:
            return "wait for its webhooks"
        return stopped(self.context.clients.kube, self.resolved.namespace, hooks.service)

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        helm, resolved = self.context.helm, self.resolved
        helm.recover(resolved.namespace, resolved.name, progress)
        check, cancel = checked(self.context, resolved), self.context.cancel
        release = release_of(self.context, resolved)
        helm.upgrade(release, progress, cancel, check)
        if resolved.component.webhook_certificate:
            self._wait_for_webhooks(progress, cancel)
            helm.note_answered(release)

    def _wait_for_webhooks(self, progress: Progress, cancel: Cancel) -> None:
        wait_answering(
            self.context.clients.kube,
            self.resolved.namespace,
            self.resolved.name,
            f"{COMPONENT_LABEL}={self.resolved.name}",
            progress=progress,
            cancel=cancel,
            seconds=_ANSWER_SECONDS,
        )
