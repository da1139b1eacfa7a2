"""Kubernetes objects that `down` deletes, and their deletion."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.custom_objects import POLICIES, POLICY_API
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
    """Custom resources, except the groups in `kept` and Gateways, which are load balancers.

    In a shared cluster: those in our namespaces, those that we applied, and all of the kinds of our
    operators, in every namespace and cluster-scoped: nothing serves them after `down`. In a dedicated
    cluster cluster-scoped ones go with it. Admission policies that we applied are among them.
    """
    kube, dedicated = context.clients.kube, context.cluster.capabilities.dedicated
    environment = context.environment.name
    found: list[Object] = []
    for definition in kube.list("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
        spec, labels = definition["spec"], definition["metadata"].get("labels") or {}
        namespaced, own = spec["scope"] == "Namespaced", labels.get(ENVIRONMENT_LABEL) == environment
        if spec["group"] in {_GATEWAYS, *kept} or (dedicated and not namespaced):
            continue
        if own or dedicated:
            found += objects_of(kube, definition)
        elif namespaced:
            found += ours(context, objects_of(kube, definition))
        else:
            found += objects_of(kube, definition, labels=f"{ENVIRONMENT_LABEL}={environment}")
    if not dedicated:
        found += _policies(kube, environment)
    return [each for each in found if not _owned(each)]


def _policies(kube: Kube, environment: str) -> list[Object]:
    """Admission policies of the environment; none before Kubernetes 1.30, which has no such kinds."""
    found: list[Object] = []
    for kind in POLICIES:
        try:
            found += kube.list(POLICY_API, kind, labels=f"{ENVIRONMENT_LABEL}={environment}")
        except KubeError as error:
            if error.status != 404:
                raise
    return found


def objects_of(kube: Kube, definition: Object, *, labels: str = "") -> list[Object]:
    """All objects of a kind; none if no version of it is served."""
    spec = definition["spec"]
    version = next((v["name"] for v in spec["versions"] if v["served"]), "")
    return kube.list(f"{spec['group']}/{version}", spec["names"]["kind"], labels=labels) if version else []


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
    context: Context,
    kube: Kube,
    find: Callable[[], list[Object]],
    what: str,
    progress: Progress,
    unblock: Callable[[list[Object]], None] = lambda _: None,
) -> None:
    """Delete objects, and wait until every finalizer is done. `unblock` gets what is left at each look."""
    for each in find():
        meta = each["metadata"]
        kube.delete(each["apiVersion"], each["kind"], meta["name"], meta.get("namespace", ""))

    def left() -> list[str]:
        found = find()
        unblock(found)
        return [f"{title(each)}{_finalizers(each)}" for each in found]

    wait_gone(
        context,
        left,
        what,
        progress,
        hint="its controller may be gone: continue with --force; the sweep finds what it created outside",
        command="kubectl get events --all-namespaces",
    )


def title(each: Object) -> str:
    """'Model team/iris'"""
    meta = each["metadata"]
    return f"{each['kind']} {'/'.join(filter(None, (meta.get('namespace'), meta['name'])))}"


def _finalizers(each: Object) -> str:
    """The finalizers that an object waits for, in words."""
    names = each["metadata"].get("finalizers")
    return f" (waits for {', '.join(names)})" if names else ""


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
