"""The objects of a project's namespace: accounts, roles, quota, limits, and policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.adapters.kube.namespaces import labels_of
from mlops_platform.base.labels import GPU, OWNED, PROJECT_LABEL, SERVER, TASKS, TRAINER
from mlops_platform.base.quantities import to_bytes
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.run.context import Context
from mlops_platform.steps.network import policies
from mlops_platform.steps.network.policies import NONE_OUTSIDE, Outside
from mlops_platform.steps.projects.data import CONFIG_NAME, data_of
from mlops_platform.steps.projects.model import ROLES, Project, Role

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ACCOUNTS: Mapping[str, Role] = {TRAINER: "edit", SERVER: "view", TASKS: "edit"}
QUOTA_NAME, LIMITS_NAME = "project", "defaults"
PERSON = "person"  # the Role of the accounts of people's pods, which components bind
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
)
_REQUEST, _LIMIT = "256Mi", "2Gi"  # memory of a container that names none
_READ, _WRITE = ["get", "list", "watch"], ["create", "update", "patch", "delete"]
_LOGS: Manifest = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
# What a component needs that runs pods in projects. It can create Secrets, but not read them.
_PODS: Sequence[Manifest] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "delete"]},
    _LOGS,
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
]
# What a component needs for pods of people: it binds their accounts to one role, and to no other.
_PEOPLE: Sequence[Manifest] = [
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["create"]},
    {"apiGroups": [RBAC], "resources": ["rolebindings"], "verbs": ["create"]},
    {"apiGroups": [RBAC], "resources": ["roles"], "resourceNames": [PERSON], "verbs": ["bind"]},
    # Tokens for other components, which know this account and not those of people.
    {
        "apiGroups": [""],
        "resources": ["serviceaccounts/token"],
        "resourceNames": [TRAINER],
        "verbs": ["create"],
    },
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["create", "get"]},
    {"apiGroups": [""], "resources": ["resourcequotas"], "resourceNames": [QUOTA_NAME], "verbs": ["get"]},
]
# No right on Secrets, policies, roles, quotas or accounts: those rights would be rights of the platform.
_BASE: Mapping[Role, Sequence[Manifest]] = {
    "view": [
        {
            "apiGroups": [""],
            "resources": [
                "pods",
                "pods/log",
                "events",
                "configmaps",
                "persistentvolumeclaims",
                "services",
                "resourcequotas",
                "limitranges",
            ],
            "verbs": _READ,
        },
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": _READ},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": _READ},
    ],
    "edit": [
        {"apiGroups": [""], "resources": ["configmaps", "persistentvolumeclaims"], "verbs": _WRITE},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": _WRITE},
    ],
}


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
        _environment(context),
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


def _environment(context: Context) -> dict[str, str]:
    """The variables of all components for pods of projects."""
    found: dict[str, str] = {}
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
        meta = {"name": name, "namespace": namespace, "labels": owned}
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
        *(one("Role", role, rules=[*_BASE[role], *_rules(catalog, chosen, role)]) for role in _BASE),
        *(
            one(
                "RoleBinding",
                role,
                roleRef={"apiGroup": RBAC, "kind": "Role", "name": role},
                subjects=_subjects(project, namespace, role),
            )
            for role in _BASE
        ),
        *([one("Role", PERSON, rules=_person(catalog, chosen))] if _for_people(catalog, chosen) else []),
        *(
            one(kind, _role_of(component), **content)
            for component, rules in _with_rights(catalog, chosen)
            for kind, content in _rights(component, rules)
        ),
    )


def _labels(catalog: Catalog, chosen: Iterable[str]) -> dict[str, str]:
    """The labels that the chosen components look for on namespaces of projects."""
    names = set(chosen)
    parts = [e.component.projects for name, e in catalog.entries.items() if name in names]
    return {key: value for part in parts if part for key, value in part.labels.items()}


def _with_rights(catalog: Catalog, chosen: Iterable[str]) -> Iterator[tuple[Component, list[Manifest]]]:
    """The chosen components whose accounts have rights in projects, with these rights."""
    names = set(chosen)
    for name, entry in catalog.entries.items():
        part = entry.component.projects if name in names else None
        if part and (part.pods or part.logs or part.account):
            rules = [*(_PODS if part.pods else []), *([_LOGS] if part.logs and not part.pods else [])]
            rules += _PEOPLE if part.people else []
            yield entry.component, [*rules, *(rule.manifest for rule in part.account)]


def _for_people(catalog: Catalog, chosen: Iterable[str]) -> bool:
    """True if a chosen component runs pods for people."""
    names = set(chosen)
    parts = (entry.component.projects for name, entry in catalog.entries.items() if name in names)
    return any(part and part.people for part in parts)


def _person(catalog: Catalog, chosen: Iterable[str]) -> list[Manifest]:
    """The rights of a person's pod: to read, and to change objects of components. It creates no pods or Jobs
    itself, so that it cannot run as another account or mount the volume of another person."""
    rules = [rule for role in ROLES for rule in _rules(catalog, chosen, role)]
    return [*_BASE["view"], *rules]


def _role_of(component: Component) -> str:
    return f"pods-{component.name}"


def _rights(component: Component, rules: Sequence[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The role of a component's account here, and its binding."""
    account = {"kind": "ServiceAccount", "name": component.name, "namespace": component.namespace}
    yield "Role", {"rules": list(rules)}
    role = {"apiGroup": RBAC, "kind": "Role", "name": _role_of(component)}
    yield "RoleBinding", {"roleRef": role, "subjects": [account]}


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


def _rules(catalog: Catalog, chosen: Iterable[str], role: Role) -> list[Manifest]:
    """The rules of the chosen components, in the catalogue's order."""
    names = set(chosen)
    parts = [e.component.projects for name, e in catalog.entries.items() if name in names]
    return [rule.manifest for part in parts if part for rule in getattr(part, role)]


def _subjects(project: Project, namespace: str, role: Role) -> list[Manifest]:
    """Members and accounts; a member with `edit` has both roles."""
    members = [
        {"apiGroup": RBAC, "kind": member.kind.capitalize(), "name": member.name}
        for member in project.members
        if role in ("view", member.role)
    ]
    accounts = [
        {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        for name, its in ACCOUNTS.items()
        if role in ("view", its)
    ]
    return [*members, *accounts]


def content(each: Mapping[str, Any]) -> Any:
    """The part of an object that is compared: what the API server adds is left out."""
    kind = each["kind"]
    if kind == policies.KIND:
        return policies.content(each)
    if kind == "ServiceAccount":
        return each.get("automountServiceAccountToken")
    if kind == "ConfigMap":
        return each.get("data") or {}  # the API server leaves out an empty one
    if kind == "RoleBinding":
        return each.get("roleRef"), each.get("subjects")
    return each.get("rules") if kind == "Role" else each.get("spec")
