"""Owns keeping snapshots of volumes: what the cluster says of them goes with it, and they themselves stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.teardown.objects import MERGE, namespaces_of

if TYPE_CHECKING:
    from mlops_platform.adapters.kube.client import Object

_GROUP = "snapshot.storage.k8s.io"
# Their objects are left alone: a deleted one takes its snapshot with it where its class says Delete, and one
# of a group those of all its members. https://kubernetes.io/docs/concepts/storage/volume-snapshots/
GROUPS = frozenset({_GROUP, f"group{_GROUP}"})


@dataclass(frozen=True)
class KeepSnapshots:
    """Each is let go of: it stays also where a chart or a namespace takes its VolumeSnapshot along."""

    context: Context
    id: str = "drain/snapshots"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = len(self._held())
        return Difference(f"let go of {found} snapshots") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for content in self._held():
            name = content["metadata"]["name"]
            path = f"/apis/{content['apiVersion']}/volumesnapshotcontents/{name}"
            kube.raw("PATCH", path, {"spec": {"deletionPolicy": "Retain"}}, content_type=MERGE)
            where = content["spec"]["volumeSnapshotRef"]
            handle = (content.get("status") or {}).get("snapshotHandle") or name
            progress.note(f"snapshot {handle} of {where['namespace']}/{where['name']} stays")

    def _held(self) -> list[Object]:
        """Those that would go with their object; none where the cluster has no such kind."""
        kube, name = self.context.clients.kube, f"volumesnapshotcontents.{_GROUP}"
        definition = kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        served = [v["name"] for v in definition["spec"]["versions"] if v["served"]] if definition else []
        found = kube.list(f"{_GROUP}/{served[0]}", "VolumeSnapshotContent") if served else []
        if found and not self.context.cluster.capabilities.dedicated:
            names = namespaces_of(self.context)
            found = [c for c in found if c["spec"]["volumeSnapshotRef"]["namespace"] in names]
        return [content for content in found if content["spec"].get("deletionPolicy") != "Retain"]
