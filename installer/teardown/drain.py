"""Owns emptying a cluster before it goes: releases in reverse order of the graph, then volumes."""

from __future__ import annotations

from dataclasses import dataclass

from installer.adapters.wait import Pending, wait_until
from installer.catalog import Component
from installer.context import Context
from installer.engine.steps import Difference
from installer.progress import Progress

_SECONDS = 300


@dataclass(frozen=True)
class Uninstall:
    """One component's release, after everything that stands on it is gone."""

    context: Context
    component: Component
    requires: tuple[str, ...]
    layer: str = "releases"

    @property
    def id(self) -> str:
        return f"{self.component.name}/uninstall"

    def observe(self) -> Difference | None:
        key = (self.component.namespace, self.component.name)
        return Difference("uninstall") if key in self.context.helm.installed() else None

    def run(self, progress: Progress) -> None:
        self.context.bench.changing()
        self.context.helm.uninstall(self.component.namespace, self.component.name, progress)


@dataclass(frozen=True)
class DeleteVolumes:
    """Claims first, while whoever made the volumes still lives; then wait until the volumes are gone."""

    context: Context
    requires: tuple[str, ...]
    id: str = "drain/volumes"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        kube = self.context.bench.kube
        volumes = len(kube.list("v1", "PersistentVolume"))
        return Difference(f"delete {volumes} volumes") if volumes else None

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        for claim in kube.list("v1", "PersistentVolumeClaim"):
            meta = claim["metadata"]
            kube.delete("v1", "PersistentVolumeClaim", meta["name"], meta["namespace"])

        def gone() -> bool | Pending:
            left = [v["metadata"]["name"] for v in kube.list("v1", "PersistentVolume")]
            return Pending(f"{len(left)} volumes: {', '.join(left[:3])}") if left else True

        wait_until(
            "volumes deleted",
            gone,
            seconds=_SECONDS,
            cancel=self.context.cancel,
            on_seen=progress.say,
            hint="a pod may still use one, or its provisioner is gone",
            command="kubectl get pv,pvc,pods --all-namespaces",
        )
