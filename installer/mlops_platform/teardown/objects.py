"""Owns the objects of a cluster that is emptied: which are ours to delete, and deleting them to the last."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Progress
from mlops_platform.run.context import Context

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.kube.client import Object

MERGE = "application/merge-patch+json"
_SECONDS = 300
_GATEWAYS = "gateway.networking.k8s.io"
_HELM = "Helm"  # app.kubernetes.io/managed-by of all that a chart makes: it goes with its release


def namespaces_of(context: Context) -> set[str]:
    label = f"{ENVIRONMENT_LABEL}={context.environment.name}"
    return {
        each["metadata"]["name"] for each in context.clients.kube.metadata("v1", "Namespace", labels=label)
    }


def ours(context: Context, found: list[Object]) -> list[Object]:
    """All, where the cluster goes with the environment; in somebody else's what is in namespaces of ours."""
    if context.cluster.capabilities.dedicated or not found:
        return found
    names = namespaces_of(context)
    return [each for each in found if each["metadata"]["namespace"] in names]


def custom(context: Context, kept: Collection[str] = ()) -> list[Object]:
    """Of all groups but those that are kept, and the gateways', which are entrances."""
    kube = context.clients.kube
    found: list[Object] = []
    for definition in kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        if spec["scope"] != "Namespaced" or spec["group"] in {_GATEWAYS, *kept}:
            continue
        version = next((v["name"] for v in spec["versions"] if v["served"]), "")
        if version:
            found += kube.list(f"{spec['group']}/{version}", spec["names"]["kind"])
    return ours(context, [each for each in found if not _somebodys(each)])


def load_balancers(context: Context) -> list[Object]:
    kube = context.clients.kube
    found = kube.list("networking.k8s.io/v1", "Ingress")
    found += [s for s in kube.list("v1", "Service") if s["spec"].get("type") == "LoadBalancer"]
    if kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"gateways.{_GATEWAYS}"):
        found += kube.list(f"{_GATEWAYS}/v1", "Gateway")
    return ours(context, found)


def _somebodys(each: Object) -> bool:
    meta = each["metadata"]
    labels: dict[str, Any] = meta.get("labels") or {}
    return bool(meta.get("ownerReferences")) or labels.get("app.kubernetes.io/managed-by") == _HELM


def delete_all(
    context: Context, kube: Kube, find: Callable[[], list[Object]], what: str, progress: Progress
) -> None:
    """Delete, and wait until every finalizer is done."""
    for each in find():
        meta = each["metadata"]
        kube.delete(each["apiVersion"], each["kind"], meta["name"], meta["namespace"])

    wait_gone(
        context,
        lambda: [f"{e['kind']} {e['metadata']['namespace']}/{e['metadata']['name']}" for e in find()],
        what,
        progress,
        hint="its controller may be gone; --force goes on without, and the sweep finds what it made outside",
        command="kubectl get events --all-namespaces",
    )


def wait_gone(
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


def counted(found: list[Object]) -> str:
    """'2 Ingress, 1 Service'"""
    kinds = [each["kind"] for each in found]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
