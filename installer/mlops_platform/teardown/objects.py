"""Kubernetes objects that `down` deletes, and their deletion."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Progress
from mlops_platform.run.context import Context

_SECONDS = 300
_GATEWAYS = "gateway.networking.k8s.io"
_HELM = "Helm"  # app.kubernetes.io/managed-by of a chart's objects, which go with their release


def namespaces_of(context: Context) -> set[str]:
    label = f"{ENVIRONMENT_LABEL}={context.environment.name}"
    return {
        each["metadata"]["name"] for each in context.clients.kube.metadata("v1", "Namespace", labels=label)
    }


def ours(context: Context, found: list[Object]) -> list[Object]:
    """All objects of a dedicated cluster; in a shared one those in our namespaces."""
    if context.cluster.capabilities.dedicated or not found:
        return found
    names = namespaces_of(context)
    return [each for each in found if each["metadata"]["namespace"] in names]


def custom_resources(context: Context, kept: Collection[str] = ()) -> list[Object]:
    """Namespaced custom resources, except the groups in `kept` and Gateways, which are load balancers."""
    kube = context.clients.kube
    found: list[Object] = []
    for definition in kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec = definition["spec"]
        if spec["scope"] != "Namespaced" or spec["group"] in {_GATEWAYS, *kept}:
            continue
        version = next((v["name"] for v in spec["versions"] if v["served"]), "")
        if version:
            found += kube.list(f"{spec['group']}/{version}", spec["names"]["kind"])
    return ours(context, [each for each in found if not _owned(each)])


def load_balancers(context: Context) -> list[Object]:
    kube = context.clients.kube
    found = kube.list("networking.k8s.io/v1", "Ingress")
    found += [s for s in kube.list("v1", "Service") if s["spec"].get("type") == "LoadBalancer"]
    if kube.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"gateways.{_GATEWAYS}"):
        found += kube.list(f"{_GATEWAYS}/v1", "Gateway")
    return ours(context, found)


def _owned(each: Object) -> bool:
    meta = each["metadata"]
    labels: dict[str, Any] = meta.get("labels") or {}
    return bool(meta.get("ownerReferences")) or labels.get("app.kubernetes.io/managed-by") == _HELM


def delete_all(
    context: Context, kube: Kube, find: Callable[[], list[Object]], what: str, progress: Progress
) -> None:
    """Delete objects, and wait until every finalizer is done."""
    for each in find():
        meta = each["metadata"]
        kube.delete(each["apiVersion"], each["kind"], meta["name"], meta["namespace"])

    wait_gone(
        context,
        lambda: [f"{e['kind']} {e['metadata']['namespace']}/{e['metadata']['name']}" for e in find()],
        what,
        progress,
        hint="its controller may be gone: continue with --force; the sweep finds what it created outside",
        command="kubectl get events --all-namespaces",
    )


def wait_gone(
    context: Context, left: Callable[[], list[str]], what: str, progress: Progress, *, hint: str, command: str
) -> None:
    """Wait. Raises WaitTimedOut with the names of what is left."""

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
