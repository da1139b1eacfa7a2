"""The end of a rotated secret with which the gateway authenticates to a UI."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.secrets import kv_path
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.secrets.rotation import PREVIOUS, RotatableSecret, versions_of
from mlops_platform.steps.secrets.scripts import run_script
from mlops_platform.steps.secrets.volumes import refresh_volumes

_OLD_POD_SECONDS = 120.0  # more than the grace period of a gateway


@dataclass(frozen=True)
class AwaitOldPods(ComponentStep):
    """Wait until the gateway's pods of before the rollout have ended.

    A rollout is complete when the new pods are ready. Over connections that were open then, the old ones
    still send the old value for some seconds.
    """

    act = "old-pods"

    def _leaving(self) -> list[str]:
        pods = self.context.clients.kube.list("v1", "Pod", self.resolved.namespace)
        return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]

    def observe(self) -> Difference | None:
        return Difference("wait for the end of the old pods") if self._leaving() else None

    def run(self, progress: Progress) -> None:
        def gone() -> bool | Pending:
            leaving = self._leaving()
            return Pending(f"{', '.join(leaving)}: terminating") if leaving else True

        wait_until(
            f"old pods of {self.resolved.name}",
            gone,
            seconds=_OLD_POD_SECONDS,
            cancel=self.context.cancel,
            on_seen=progress.say,
            command=self.context.clients.kube.kubectl("--namespace", self.resolved.namespace, "get", "pods"),
        )


@dataclass(frozen=True)
class EndShared(ComponentStep):
    """Remove the old value, after the gateway has the new one, and check that the UI rejects it.

    Without `new` only if an interrupted rotation has left it.
    """

    secret: RotatableSecret
    new: bool

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/old-{self.secret.name}"

    @property
    def _name(self) -> str:
        return self.resolved.secret(self.secret.name)

    def observe(self) -> Difference | None:
        mirror = self.context.cluster_secrets.read(self.resolved.namespace, self._name)
        if not self.new and PREVIOUS not in mirror:
            return None
        return Difference("end the old value, and check that it is rejected")

    def run(self, progress: Progress) -> None:
        context, resolved = self.context, self.resolved
        kube, path = context.clients.kube_for_write(), kv_path(resolved.namespace, self._name)
        with context.vault.session() as vault:
            now, before = versions_of(vault, resolved, self.secret)
            old = now.get(PREVIOUS) or (before or {}).get(PREVIOUS)
            if PREVIOUS in now:
                now = {key: value for key, value in now.items() if key != PREVIOUS}
                vault.put(path, now)
            stored = vault.get(path)
        assert stored, "it was written just now"
        context.cluster_secrets.write(resolved.namespace, self._name, now, version=stored.version)
        refresh_volumes(kube, resolved.namespace, self._name)
        if old:
            run_script(
                context, kube, resolved, self.secret.name, now, {**now, "value": old}, "prove", progress
            )
