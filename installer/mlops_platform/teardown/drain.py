"""Owns emptying a cluster before it goes: what makes things outside of it, volumes, releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.lock import NAMESPACE as LOCK_NAMESPACE
from mlops_platform.teardown.objects import (
    MERGE,
    counted,
    custom,
    delete_all,
    load_balancers,
    namespaces_of,
    ours,
    wait_gone,
)

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.client import Object


@dataclass(frozen=True)
class Uninstall:
    """One component's release, after everything that stands on it is gone."""

    context: Context
    component: Component
    layer: str = "releases"

    @property
    def id(self) -> str:
        return f"{self.component.name}/uninstall"

    def observe(self) -> Difference | None:
        key = (self.component.namespace, self.component.name)
        return Difference("uninstall") if key in self.context.helm.installed() else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        self.context.helm.uninstall(self.component.namespace, self.component.name, progress)


@dataclass(frozen=True)
class SuspendCronJobs:
    """Whatever would start anew what is being stopped: nothing scheduled begins any more."""

    context: Context
    id: str = "drain/schedules"
    layer: str = "drain"

    def _running(self) -> list[Object]:
        jobs = ours(self.context, self.context.clients.kube.list("batch/v1", "CronJob"))
        return [job for job in jobs if not job["spec"].get("suspend")]

    def observe(self) -> Difference | None:
        found = self._running()
        return Difference(f"suspend {len(found)} schedules") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for job in self._running():
            meta = job["metadata"]
            path = f"/apis/batch/v1/namespaces/{meta['namespace']}/cronjobs/{meta['name']}"
            kube.raw("PATCH", path, {"spec": {"suspend": True}}, content_type=MERGE)


@dataclass(frozen=True)
class DeleteCustom:
    """People's own objects of kinds that controllers act on, while those controllers still live.

    What a chart made goes with its release, what another object owns goes with that. Kinds without a
    namespace are the cluster's own, and go with it. `kept` are API groups that are left alone.
    """

    context: Context
    kept: frozenset[str] = frozenset()
    id: str = "drain/custom"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = self._found()
        return Difference(f"delete {counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        delete_all(self.context, kube, self._found, "objects", progress)

    def _found(self) -> list[Object]:
        return custom(self.context, self.kept)


@dataclass(frozen=True)
class DeleteEntrances:
    """Gateways, Ingresses, Services of type LoadBalancer: their controllers remove what they made outside."""

    context: Context
    id: str = "drain/entrances"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = load_balancers(self.context)
        return Difference(f"delete {counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        delete_all(self.context, kube, lambda: load_balancers(self.context), "entrances", progress)


@dataclass(frozen=True)
class DeleteVolumes:
    """Claims first, while whoever made the volumes still lives; then wait until the volumes are gone.

    A volume that is to be retained is let go of: its disk stays, and whoever deletes it is a person.
    """

    context: Context
    retain: bool = False
    id: str = "drain/volumes"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        volumes = len(self._volumes())
        return (
            Difference(f"{'let go of' if self.retain else 'delete'} {volumes} volumes") if volumes else None
        )

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        if self.retain:
            for volume in self._volumes():
                path = f"/api/v1/persistentvolumes/{volume['metadata']['name']}"
                policy = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
                kube.raw("PATCH", path, policy, content_type=MERGE)
        self._stop_users(kube)
        for claim in self._claims(kube):
            meta = claim["metadata"]
            kube.delete("v1", "PersistentVolumeClaim", meta["name"], meta["namespace"])

        wait_gone(
            self.context,
            lambda: [v["metadata"]["name"] for v in self._volumes() if not self._let_go(v)],
            "volumes",
            progress,
            hint="a pod may still use one, or its provisioner is gone",
            command="kubectl get pv,pvc,pods --all-namespaces",
        )

    def _volumes(self) -> list[Object]:
        """In somebody else's cluster only those that are claimed in namespaces of ours."""
        found = self.context.clients.kube.list("v1", "PersistentVolume")
        if self.context.cluster.capabilities.dedicated:
            return found
        names = namespaces_of(self.context)
        return [v for v in found if (v["spec"].get("claimRef") or {}).get("namespace") in names]

    def _claims(self, kube: Kube) -> list[Object]:
        return ours(self.context, kube.list("v1", "PersistentVolumeClaim"))

    def _let_go(self, volume: Object) -> bool:
        return self.retain and volume.get("status", {}).get("phase") == "Released"

    def _stop_users(self, kube: Kube) -> None:
        """A claim in use is deleted only when its last pod is gone, and a StatefulSet makes that anew."""
        claimed = {(c["metadata"]["namespace"], c["metadata"]["name"]) for c in self._claims(kube)}
        for kind, plural in (("StatefulSet", "statefulsets"), ("Deployment", "deployments")):
            for each in kube.list("apps/v1", kind):
                meta = each["metadata"]
                if each["spec"].get("replicas") and _mounts(each, claimed):
                    path = f"/apis/apps/v1/namespaces/{meta['namespace']}/{plural}/{meta['name']}"
                    kube.raw("PATCH", path, {"spec": {"replicas": 0}}, content_type=MERGE)


@dataclass(frozen=True)
class DeleteNamespaces:
    """In somebody else's cluster: what we made for components, with everything that is still in it.

    The one with the lock is not among them: this run holds it until its end.
    """

    context: Context
    id: str = "drain/namespaces"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = self._found()
        return Difference(f"delete {len(found)} namespaces") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for name in self._found():
            kube.delete("v1", "Namespace", name)

        wait_gone(
            self.context,
            self._found,
            "namespaces",
            progress,
            hint="an object in it waits for a controller that is gone: its conditions say which",
            command="kubectl get namespaces -o yaml",
        )

    def _found(self) -> list[str]:
        return sorted(namespaces_of(self.context) - {LOCK_NAMESPACE})


def _mounts(workload: Object, claimed: set[tuple[str, str]]) -> bool:
    spec = workload["spec"]
    volumes = spec["template"]["spec"].get("volumes") or ()
    names = {(v.get("persistentVolumeClaim") or {}).get("claimName") for v in volumes}
    space = workload["metadata"]["namespace"]
    return bool(spec.get("volumeClaimTemplates")) or any((space, name) in claimed for name in names if name)
