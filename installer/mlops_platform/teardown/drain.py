"""Draining of a cluster before its destruction: load balancers, volumes, releases."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.component import Component
from mlops_platform.engine.graph import Difference
from mlops_platform.run.lock import NAMESPACE as LOCK_NAMESPACE
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.teardown.objects import (
    counted,
    custom_resources,
    delete_all,
    load_balancers,
    namespaces_of,
    ours,
    wait_gone,
)
from mlops_platform.teardown.operators import finalizer_remover


@dataclass(frozen=True)
class Uninstall(EnvironmentStep):
    """Uninstall a component's release, after those of its dependents."""

    component: Component

    path = "{0.component.name}/uninstall"
    layer = "releases"

    def observe(self) -> Difference | None:
        key = (self.component.namespace, self.component.name)
        return Difference("uninstall") if key in self.context.helm.installed() else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        self.context.helm.uninstall(self.component.namespace, self.component.name, progress)


@dataclass(frozen=True)
class UninstallOthers(EnvironmentStep):
    """Uninstall releases in our namespaces that no component of the catalogue has: its folder is gone.

    Before the others: a user's component may stand on a shipped one, and its edges are not known.
    """

    path = "drain/other-releases"
    layer = "releases"

    def observe(self) -> Difference | None:
        names = [name for _, name in self._found()]
        return Difference(f"uninstall {', '.join(names)}") if names else None

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        for namespace, name in self._found():
            self.context.helm.uninstall(namespace, name, progress)

    def _found(self) -> list[tuple[str, str]]:
        known = {(c.component.namespace, c.name) for c in self.context.resolved.values()}
        others = set(self.context.helm.installed()) - known
        names = namespaces_of(self.context) if others else set()
        return sorted(key for key in others if key[0] in names)


@dataclass(frozen=True)
class SuspendCronJobs(EnvironmentStep):
    """Suspend CronJobs, so that they start nothing during the drain."""

    path = "drain/schedules"
    layer = "drain"

    def _running(self) -> list[Object]:
        jobs = ours(self.context, self.context.clients.kube.list("batch/v1", "CronJob"))
        return [job for job in jobs if not job["spec"].get("suspend")]

    def observe(self) -> Difference | None:
        found = self._running()
        return Difference(f"suspend {len(found)} CronJobs") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        for job in self._running():
            meta = job["metadata"]
            suspend = {"spec": {"suspend": True}}
            kube.patch("batch/v1", "CronJob", meta["name"], meta["namespace"], body=suspend)


@dataclass(frozen=True)
class DeleteCustomResources(EnvironmentStep):
    """Delete users' custom resources while the controllers of their kinds still run.

    Objects of a chart go with its release, and objects with an owner go with that. `kept` are API groups
    that are left alone. Finalizers of an operator of ours that does not run are removed.
    """

    kept: frozenset[str] = frozenset()

    path = "drain/custom"
    layer = "drain"

    def observe(self) -> Difference | None:
        found = self._found()
        return Difference(f"delete {counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        unblock = finalizer_remover(self.context, kube, progress)
        delete_all(self.context, kube, self._found, "objects", progress, unblock)

    def _found(self) -> list[Object]:
        return custom_resources(self.context, self.kept)


@dataclass(frozen=True)
class DeleteLoadBalancers(EnvironmentStep):
    """Delete Gateways, Ingresses and Services of type LoadBalancer, with their load balancers outside."""

    path = "drain/load-balancers"
    layer = "drain"

    def observe(self) -> Difference | None:
        found = load_balancers(self.context)
        return Difference(f"delete {counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        delete_all(self.context, kube, lambda: load_balancers(self.context), "load balancers", progress)


@dataclass(frozen=True)
class DeleteVolumes(EnvironmentStep):
    """Delete claims while the provisioner still runs, then wait until the volumes are gone.

    A retained volume gets the reclaim policy Retain: its disk stays until a user deletes it.
    """

    retain: bool = False

    path = "drain/volumes"
    layer = "drain"

    def observe(self) -> Difference | None:
        volumes = len(self._volumes())
        return Difference(f"{'retain' if self.retain else 'delete'} {volumes} volumes") if volumes else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        if self.retain:
            for volume in self._volumes():
                policy = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
                kube.patch("v1", "PersistentVolume", volume["metadata"]["name"], body=policy)
        self._stop_users(kube)
        for claim in self._claims(kube):
            meta = claim["metadata"]
            kube.delete("v1", "PersistentVolumeClaim", meta["name"], meta["namespace"])

        wait_gone(
            self.context,
            lambda: [v["metadata"]["name"] for v in self._volumes() if not self._released(v)],
            "volumes",
            progress,
            hint="find the pod that still uses a volume, or the provisioner that is gone",
            command="kubectl get pv,pvc,pods --all-namespaces",
        )

    def _volumes(self) -> list[Object]:
        """In a shared cluster only volumes with a claim in one of our namespaces."""
        found = self.context.clients.kube.list("v1", "PersistentVolume")
        if self.context.cluster.capabilities.dedicated:
            return found
        names = namespaces_of(self.context)
        return [v for v in found if (v["spec"].get("claimRef") or {}).get("namespace") in names]

    def _claims(self, kube: Kube) -> list[Object]:
        return ours(self.context, kube.list("v1", "PersistentVolumeClaim"))

    def _released(self, volume: Object) -> bool:
        return self.retain and volume.get("status", {}).get("phase") == "Released"

    def _stop_users(self, kube: Kube) -> None:
        """Stop what uses claims, also jobs and notebooks: a claim stays until its last pod is gone."""
        claimed = {(c["metadata"]["namespace"], c["metadata"]["name"]) for c in self._claims(kube)}
        for kind in ("StatefulSet", "Deployment"):
            for each in ours(self.context, kube.list("apps/v1", kind)):
                meta, spec = each["metadata"], each["spec"]
                uses = spec.get("volumeClaimTemplates") or _mounts(meta, spec["template"]["spec"], claimed)
                if spec.get("replicas") and uses:
                    none = {"spec": {"replicas": 0}}
                    kube.patch("apps/v1", kind, meta["name"], meta["namespace"], body=none)
        for each in ours(self.context, kube.list("v1", "Pod")):
            meta = each["metadata"]
            if _mounts(meta, each["spec"], claimed):
                owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
                if owner is None:
                    kube.delete("v1", "Pod", meta["name"], meta["namespace"])
                elif owner["kind"] == "Job":
                    body = {"spec": {"suspend": True}}
                    kube.patch("batch/v1", "Job", owner["name"], meta["namespace"], body=body)


@dataclass(frozen=True)
class DeleteNamespaces(EnvironmentStep):
    """Delete the components' namespaces of a shared cluster, with everything still in them.

    The namespace of the lock stays: this run holds the lock until its end.
    """

    path = "drain/namespaces"
    layer = "drain"

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
            hint="read the conditions of the namespace: an object in it waits for a controller that is gone",
            command="kubectl get namespaces -o yaml",
        )

    def _found(self) -> list[str]:
        return sorted(namespaces_of(self.context) - {LOCK_NAMESPACE})


def _mounts(meta: Object, pod: Object, claimed: set[tuple[str, str]]) -> bool:
    """True if a pod's specification, in the namespace of this object, has a volume of one of these claims."""
    names = {(v.get("persistentVolumeClaim") or {}).get("claimName") for v in pod.get("volumes") or ()}
    return any((meta["namespace"], name) in claimed for name in names if name)
