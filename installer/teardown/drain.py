"""Owns emptying a cluster before it goes: what makes things outside of it, volumes, releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from installer.adapters.kube.namespaces import ENVIRONMENT_LABEL
from installer.adapters.wait import Pending, wait_until
from installer.catalog import Component
from installer.context import Context
from installer.engine.lock import NAMESPACE as LOCK_NAMESPACE
from installer.engine.steps import Difference
from installer.progress import Progress

if TYPE_CHECKING:
    from installer.adapters.kube import Kube
    from installer.adapters.kube.client import Object

_SECONDS = 300
_MERGE = "application/merge-patch+json"
_GATEWAYS = "gateway.networking.k8s.io"
_HELM = "Helm"  # app.kubernetes.io/managed-by of all that a chart makes: it goes with its release


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
class SuspendSchedules:
    """Whatever would start anew what is being stopped: nothing scheduled begins any more."""

    context: Context
    requires: tuple[str, ...] = ()
    id: str = "drain/schedules"
    layer: str = "drain"

    def _running(self) -> list[Object]:
        jobs = _ours(self.context, self.context.bench.kube.list("batch/v1", "CronJob"))
        return [job for job in jobs if not job["spec"].get("suspend")]

    def observe(self) -> Difference | None:
        found = self._running()
        return Difference(f"suspend {len(found)} schedules") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        for job in self._running():
            meta = job["metadata"]
            path = f"/apis/batch/v1/namespaces/{meta['namespace']}/cronjobs/{meta['name']}"
            kube.raw("PATCH", path, {"spec": {"suspend": True}}, content_type=_MERGE)


@dataclass(frozen=True)
class DeleteCustom:
    """People's own objects of kinds that controllers act on, while those controllers still live.

    What a chart made goes with its release, what another object owns goes with that. Kinds without a
    namespace are the cluster's own, and go with it.
    """

    context: Context
    requires: tuple[str, ...] = ("drain/schedules",)
    id: str = "drain/custom"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = _custom(self.context)
        return Difference(f"delete {_counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        _delete_all(self.context, kube, lambda: _custom(self.context), "objects", progress)


@dataclass(frozen=True)
class DeleteEntrances:
    """Gateways, Ingresses, Services of type LoadBalancer: their controllers remove what they made outside."""

    context: Context
    requires: tuple[str, ...] = ("drain/custom",)
    id: str = "drain/entrances"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = _entrances(self.context)
        return Difference(f"delete {_counted(found)}") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        _delete_all(self.context, kube, lambda: _entrances(self.context), "entrances", progress)


@dataclass(frozen=True)
class DeleteVolumes:
    """Claims first, while whoever made the volumes still lives; then wait until the volumes are gone.

    A volume that is to be retained is let go of: its disk stays, and whoever deletes it is a person.
    """

    context: Context
    requires: tuple[str, ...]
    retain: bool = False
    id: str = "drain/volumes"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        volumes = len(self._volumes())
        return (
            Difference(f"{'let go of' if self.retain else 'delete'} {volumes} volumes") if volumes else None
        )

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        if self.retain:
            for volume in self._volumes():
                path = f"/api/v1/persistentvolumes/{volume['metadata']['name']}"
                policy = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
                kube.raw("PATCH", path, policy, content_type=_MERGE)
        self._stop_users(kube)
        for claim in self._claims(kube):
            meta = claim["metadata"]
            kube.delete("v1", "PersistentVolumeClaim", meta["name"], meta["namespace"])

        _wait_gone(
            self.context,
            lambda: [v["metadata"]["name"] for v in self._volumes() if not self._let_go(v)],
            "volumes",
            progress,
            hint="a pod may still use one, or its provisioner is gone",
            command="kubectl get pv,pvc,pods --all-namespaces",
        )

    def _volumes(self) -> list[Object]:
        """In somebody else's cluster only those that are claimed in namespaces of ours."""
        found = self.context.bench.kube.list("v1", "PersistentVolume")
        if self.context.cluster.whole:
            return found
        ours = _namespaces(self.context)
        return [v for v in found if (v["spec"].get("claimRef") or {}).get("namespace") in ours]

    def _claims(self, kube: Kube) -> list[Object]:
        return _ours(self.context, kube.list("v1", "PersistentVolumeClaim"))

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
                    kube.raw("PATCH", path, {"spec": {"replicas": 0}}, content_type=_MERGE)


@dataclass(frozen=True)
class DeleteNamespaces:
    """In somebody else's cluster: what we made for components, with everything that is still in it.

    The one with the lock is not among them: this run holds it until its end.
    """

    context: Context
    requires: tuple[str, ...]
    id: str = "drain/namespaces"
    layer: str = "drain"

    def observe(self) -> Difference | None:
        found = self._found()
        return Difference(f"delete {len(found)} namespaces") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.bench.changing()
        for name in self._found():
            kube.delete("v1", "Namespace", name)

        _wait_gone(
            self.context,
            self._found,
            "namespaces",
            progress,
            hint="an object in it waits for a controller that is gone: its conditions say which",
            command="kubectl get namespaces -o yaml",
        )

    def _found(self) -> list[str]:
        return sorted(_namespaces(self.context) - {LOCK_NAMESPACE})


def _mounts(workload: Object, claimed: set[tuple[str, str]]) -> bool:
    spec = workload["spec"]
    volumes = spec["template"]["spec"].get("volumes") or ()
    names = {(v.get("persistentVolumeClaim") or {}).get("claimName") for v in volumes}
    space = workload["metadata"]["namespace"]
    return bool(spec.get("volumeClaimTemplates")) or any((space, name) in claimed for name in names if name)


def _namespaces(context: Context) -> set[str]:
    label = f"{ENVIRONMENT_LABEL}={context.environment.name}"
    return {each["metadata"]["name"] for each in context.bench.kube.metadata("v1", "Namespace", labels=label)}


def _ours(context: Context, found: list[Object]) -> list[Object]:
    """All, where the cluster goes with the environment; in somebody else's what is in namespaces of ours."""
    if context.cluster.whole or not found:
        return found
    ours = _namespaces(context)
    return [each for each in found if each["metadata"]["namespace"] in ours]


def _custom(context: Context) -> list[Object]:
    kube = context.bench.kube
    found: list[Object] = []
    for definition in kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        if spec["scope"] != "Namespaced" or spec["group"] == _GATEWAYS:
            continue
        version = next((v["name"] for v in spec["versions"] if v["served"]), "")
        if version:
            found += kube.list(f"{spec['group']}/{version}", spec["names"]["kind"])
    return _ours(context, [each for each in found if not _somebodys(each)])


def _entrances(context: Context) -> list[Object]:
    kube = context.bench.kube
    found = kube.list("networking.k8s.io/v1", "Ingress")
    found += [s for s in kube.list("v1", "Service") if s["spec"].get("type") == "LoadBalancer"]
    if kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"gateways.{_GATEWAYS}"):
        found += kube.list(f"{_GATEWAYS}/v1", "Gateway")
    return _ours(context, found)


def _somebodys(each: Object) -> bool:
    meta = each["metadata"]
    labels: dict[str, Any] = meta.get("labels") or {}
    return bool(meta.get("ownerReferences")) or labels.get("app.kubernetes.io/managed-by") == _HELM


def _delete_all(
    context: Context, kube: Kube, find: Callable[[], list[Object]], what: str, progress: Progress
) -> None:
    """Delete, and wait until every finalizer is done."""
    for each in find():
        meta = each["metadata"]
        kube.delete(each["apiVersion"], each["kind"], meta["name"], meta["namespace"])

    _wait_gone(
        context,
        lambda: [f"{e['kind']} {e['metadata']['namespace']}/{e['metadata']['name']}" for e in find()],
        what,
        progress,
        hint="its controller may be gone; --force goes on without, and the sweep finds what it made outside",
        command="kubectl get events --all-namespaces",
    )


def _wait_gone(
    context: Context, left: Callable[[], list[str]], what: str, progress: Progress, *, hint: str, command: str
) -> None:
    """Raises WaitTimedOut naming what is left."""

    def gone() -> bool | Pending:
        names = left()
        return Pending(f"{len(names)} {what}: {', '.join(names[:3])}") if names else True

    wait_until(
        f"{what} deleted",
        gone,
        seconds=_SECONDS,
        cancel=context.cancel,
        on_seen=progress.say,
        hint=hint,
        command=command,
    )


def _counted(found: list[Object]) -> str:
    """'2 Ingress, 1 Service'"""
    kinds = [each["kind"] for each in found]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
