"""All checks of a rendered release; every problem is in one error, before an object is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from mlops_platform.adapters.helm.rendered import DEFINITION, Rendered, is_namespace
from mlops_platform.adapters.kube.namespaces import RESTRICTED
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.yaml import Document
from mlops_platform.catalogue.custom_objects import is_builtin
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.release.checks import pods, rights, webhooks
from mlops_platform.steps.release.checks.findings import Bounds, Finding, Object, title

# Kinds of Kubernetes that belong to no namespace. A release may have the first ones.
_ALLOWED = frozenset(
    {
        DEFINITION,
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    }
)
_IN_NAMESPACES = frozenset(
    {
        "ConfigMap", "ControllerRevision", "CronJob", "DaemonSet", "Deployment", "EndpointSlice", "Endpoints",
        "HorizontalPodAutoscaler", "Ingress", "Job", "Lease", "LimitRange", "NetworkPolicy",
        "PersistentVolumeClaim", "Pod", "PodDisruptionBudget", "PodTemplate", "ReplicaSet",
        "ReplicationController", "ResourceQuota", "Role", "RoleBinding", "Secret", "Service",
        "ServiceAccount", "StatefulSet",
    }
)  # fmt: skip


def checked(context: Context, resolved: ResolvedComponent) -> Callable[[Rendered], None]:
    """The check of a component's release. Raises ConfigurationError with the lines of component.yaml."""
    component = resolved.component
    module = component.module
    images = frozenset(resolved.reference(name) for name in module.images.values()) if module else frozenset()
    level = component.pod_security.level if component.pod_security else RESTRICTED
    bounds, document = Bounds(component, level, images), context.catalog.entries[resolved.name].document

    def check(rendered: Rendered) -> None:
        require_bounds(rendered, bounds, document)

    return check


def require_bounds(rendered: Rendered, bounds: Bounds, document: Document) -> None:
    """Raise ConfigurationError if the release has objects that it must not have."""
    found = [document.problem(each.place, each.what, each.hint) for each in findings(rendered, bounds)]
    if found:
        where = f"with the release of {bounds.component.name}; it was not sent"
        raise ConfigurationError(tuple(dict.fromkeys(found)), where)


def findings(rendered: Rendered, bounds: Bounds) -> Iterator[Finding]:
    """Every finding about the objects of one release."""
    for place, what in rendered.unmatched:
        yield Finding((*bounds.source, *place), what, "remove the entry")
    objects = [each for each in rendered.objects if not is_namespace(each, bounds.namespace)]
    yield from _places(objects, bounds)
    yield from rights.findings(objects, bounds)
    yield from webhooks.findings(objects, bounds)
    yield from pods.findings(objects, bounds)


def _places(objects: Sequence[Object], bounds: Bounds) -> Iterator[Finding]:
    """Find objects of other namespaces, and cluster-scoped ones of kinds that a release must not have."""
    scopes = {o["spec"]["names"]["kind"]: o["spec"]["scope"] for o in objects if o["kind"] == DEFINITION}
    for each in objects:
        kind, space = each["kind"], each["metadata"].get("namespace")
        builtin = is_builtin(each["apiVersion"].rpartition("/")[0])
        if builtin and kind in _ALLOWED:
            continue
        hint = f"omit {kind}/{each['metadata']['name']}"
        if (
            (builtin and kind in _IN_NAMESPACES)
            or scopes.get(kind) == "Namespaced"
            or (space and kind not in scopes)
        ):
            # The rights check reports bindings in other namespaces.
            if space not in (None, "", bounds.namespace) and kind != "RoleBinding":
                yield Finding(bounds.source, f"{title(each)}: in namespace {space}", hint)
        elif scopes.get(kind) == "Cluster":
            what = f"{title(each)}: a custom resource of the whole cluster"
            yield Finding(bounds.source, what, f"{hint}, and write it into a file of `objects`")
        else:
            what = f"{title(each)}: a cluster-scoped or unknown kind"
            yield Finding(bounds.source, what, hint)
