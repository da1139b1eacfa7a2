"""The objects of a project's namespace: accounts, roles, quota, limits, and policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.kube.namespaces import labels_of
from mlops_platform.base.labels import GPU, OWNED, PROJECT_LABEL
from mlops_platform.base.pod import PROJECT_VARIABLE, VARIABLE
from mlops_platform.base.quantities import to_bytes
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.run.context import Context
from mlops_platform.run.pod import describe
from mlops_platform.steps.network import policies
from mlops_platform.steps.network.policies import NONE_OUTSIDE, Outside
from mlops_platform.steps.projects.data import CONFIG_NAME, data_of
from mlops_platform.steps.projects.model import QUOTA_NAME, Project
from mlops_platform.steps.projects.rights import ACCOUNTS, CLUSTER_KINDS, RBAC, Manifest, rights_of

LIMITS_NAME = "defaults"
# Pods with these classes, which every cluster has, would displace pods of the platform.
# https://kubernetes.io/docs/concepts/policy/resource-quotas/#limit-priority-class-consumption-by-default
_CRITICAL: Manifest = {
    "hard": {"pods": "0"},
    "scopeSelector": {
        "matchExpressions": [
            {
                "scopeName": "PriorityClass",
                "operator": "In",
                "values": ["system-cluster-critical", "system-node-critical"],
            }
        ]
    },
}
ENVIRONMENT_NAME = "platform"  # the ConfigMap with the variables that components give to pods of projects
# Every kind of `objects_of` except the namespace itself.
KINDS: Sequence[tuple[str, str]] = (
    (policies.API, policies.KIND),
    ("v1", "ResourceQuota"),
    ("v1", "LimitRange"),
    ("v1", "ServiceAccount"),
    ("v1", "ConfigMap"),
    (f"{RBAC}/v1", "Role"),
    (f"{RBAC}/v1", "RoleBinding"),
    *((f"{RBAC}/v1", kind) for kind in CLUSTER_KINDS),
)
_REQUEST, _LIMIT = "256Mi", "2Gi"  # memory of a container that names none


def objects_of(
    context: Context, project: Project, more: Mapping[str, str] | None = None
) -> tuple[Manifest, ...]:
    """All objects of a project, in the order of their creation: policies before any pod can run.

    `more` are further labels of the namespace.
    """
    environment, data = context.environment, data_of(context)
    labels = {**labels_of(environment.name), PROJECT_LABEL: project.name, **(more or {})}
    return render(
        context.catalog,
        environment.components,
        policies.base(context),
        project,
        project.name,
        labels,
        _environment(context, project),
        data.environment(project.name) if data else None,
        Outside(
            context.clients.api_addresses if _runs_pods(context) else (),
            tuple(data.endpoints) if data else (),
        ),
    )


def _runs_pods(context: Context) -> bool:
    """True if a component runs pods in projects: they may reach the API server."""
    parts = (each.component.projects for each in context.resolved.values())
    return any(part and part.pods for part in parts)


def _environment(context: Context, project: Project) -> dict[str, str]:
    """The variables of all components for pods of projects, and those of the command line in pods."""
    found = {VARIABLE: describe(context.environment), PROJECT_VARIABLE: project.name}
    for each in context.resolved.values():
        if part := each.component.projects:
            found |= substitute(part.environment, each.variables)
    return dict(sorted(found.items()))


def render(
    catalog: Catalog,
    chosen: Iterable[str],
    base: Sequence[Manifest],
    project: Project,
    namespace: str,
    labels: Mapping[str, str],
    environment: Mapping[str, str],
    data: Mapping[str, str] | None = None,
    outside: Outside = NONE_OUTSIDE,
) -> tuple[Manifest, ...]:
    """The manifests, complete and in a fixed order, to compare with those of the cluster."""
    chosen = tuple(chosen)
    owned = {**OWNED, PROJECT_LABEL: project.name}

    def one(kind: str, name: str, **content: Any) -> Manifest:
        api_version = next((api for api, each in KINDS if each == kind), "v1")
        place = {} if kind in CLUSTER_KINDS else {"namespace": namespace}
        meta = {"name": name, **place, "labels": owned}
        return {"apiVersion": api_version, "kind": kind, "metadata": meta, **content}

    named = {**_labels(catalog, chosen), **labels}
    meta = {"name": namespace, "labels": named, "annotations": project.record}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": meta},
        *policies.render_project(catalog, namespace, chosen, base, {PROJECT_LABEL: project.name}, outside),
        one("ResourceQuota", QUOTA_NAME, spec={"hard": _hard(project)}),
        one("ResourceQuota", "critical-pods", spec=_CRITICAL),
        one("LimitRange", LIMITS_NAME, spec={"limits": [_defaults(project)]}),
        *(one("ServiceAccount", n, automountServiceAccountToken=False) for n in ("default", *ACCOUNTS)),
        one("ConfigMap", ENVIRONMENT_NAME, data=dict(environment)),
        *([one("ConfigMap", CONFIG_NAME, data=dict(data))] if data else []),
        *(
            one(kind, name, **content)
            for kind, name, content in rights_of(catalog, chosen, project, namespace)
        ),
    )


def _labels(catalog: Catalog, chosen: Iterable[str]) -> dict[str, str]:
    """The labels that the chosen components look for on namespaces of projects."""
    names = set(chosen)
    parts = [e.component.projects for name, e in catalog.entries.items() if name in names]
    return {key: value for part in parts if part for key, value in part.labels.items()}


def _hard(project: Project) -> dict[str, str]:
    """GPUs are limited here only: a LimitRange with their `max` would give every pod a GPU request."""
    quota = project.quota
    return {
        "requests.cpu": quota.cpu,
        "requests.memory": quota.memory,
        "limits.memory": quota.memory,
        f"requests.{GPU}": quota.gpu,
        "requests.storage": quota.storage,
        "pods": quota.pods,
        # Both would open a port that no policy closes.
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }


def _defaults(project: Project) -> Manifest:
    """Requests and limits of containers that name none: a quota rejects pods without them."""
    most = project.quota.memory
    limit = _LIMIT if to_bytes(_LIMIT) < to_bytes(most) else most
    return {
        "type": "Container",
        "default": {"memory": limit},
        "defaultRequest": {"cpu": "100m", "memory": _REQUEST},
    }


def content(each: Mapping[str, Any]) -> Any:
    """The part of an object that is compared: what the API server adds is left out."""
    kind = each["kind"]
    if kind == policies.KIND:
        return policies.content(each)
    if kind == "ServiceAccount":
        return each.get("automountServiceAccountToken")
    if kind == "ConfigMap":
        return each.get("data") or {}  # the API server leaves out an empty one
    if kind in ("RoleBinding", "ClusterRoleBinding"):
        return each.get("roleRef"), each.get("subjects")
    return each.get("rules") if kind in ("Role", "ClusterRole") else each.get("spec")
