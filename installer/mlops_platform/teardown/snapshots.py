"""Retention of volume snapshots when their cluster is destroyed."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube.client import Object
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.teardown.objects import namespaces_of

_GROUP = "snapshot.storage.k8s.io"
# Objects of these groups are left alone: with deletionPolicy Delete, a deleted VolumeSnapshot deletes its
# snapshot, and a deleted group those of its members. https://kubernetes.io/docs/concepts/storage/volume-snapshots/
GROUPS = frozenset({_GROUP, f"group{_GROUP}"})


@dataclass(frozen=True)
class KeepSnapshots(EnvironmentStep):
    """Set each snapshot to Retain: it stays when a chart or a namespace deletes its VolumeSnapshot."""

    path = "drain/snapshots"
    layer = "drain"

    def observe(self) -> Difference | None:
        found = len(self._held())
        return Difference(f"retain {found} snapshots") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for content in self._held():
            name = content["metadata"]["name"]
            retain = {"spec": {"deletionPolicy": "Retain"}}
            kube.patch(content["apiVersion"], "VolumeSnapshotContent", name, body=retain)
            where = content["spec"]["volumeSnapshotRef"]
            handle = (content.get("status") or {}).get("snapshotHandle") or name
            progress.note(f"snapshot {handle} of {where['namespace']}/{where['name']} stays")

    def _held(self) -> list[Object]:
        """Snapshots that would be deleted with their object; none in a cluster without the kind."""
        kube, name = self.context.clients.kube, f"volumesnapshotcontents.{_GROUP}"
        definition = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        served = [v["name"] for v in definition["spec"]["versions"] if v["served"]] if definition else []
        found = kube.list(f"{_GROUP}/{served[0]}", "VolumeSnapshotContent") if served else []
        if found and not self.context.cluster.capabilities.dedicated:
            names = namespaces_of(self.context)
            found = [c for c in found if c["spec"]["volumeSnapshotRef"]["namespace"] in names]
        return [content for content in found if content["spec"].get("deletionPolicy") != "Retain"]
