"""The rights in a project: of its members and accounts, of components, and of people's pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlops_platform.base.labels import SERVER, TASKS, TRAINER
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.projects import ProjectsPart
from mlops_platform.steps.projects.model import QUOTA_NAME, ROLES, Project, Role

Manifest = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
ACCOUNTS: Mapping[str, Role] = {TRAINER: "edit", SERVER: "view", TASKS: "edit"}
PERSON = "person"  # the Role of the accounts of people's pods, which components bind
# The role for kinds in no namespace, and its binding; `_READERS` and the project are their name.
CLUSTER_KINDS = ("ClusterRole", "ClusterRoleBinding")
_READERS = "mlops-project-"
_READ, _WRITE = ["get", "list", "watch"], ["create", "update", "patch", "delete"]
_LOGS: Manifest = {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}
# What a component needs that runs pods in projects. It can create Secrets, but not read them.
_PODS: Sequence[Manifest] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "list", "delete"]},
    _LOGS,
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
]
_QUOTA: Manifest = {
    "apiGroups": [""],
    "resources": ["resourcequotas"],
    "resourceNames": [QUOTA_NAME],
    "verbs": ["get"],
}
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
    _QUOTA,
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
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": _READ},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": _READ},
    ],
    "edit": [
        {"apiGroups": [""], "resources": ["configmaps", "persistentvolumeclaims"], "verbs": _WRITE},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": _WRITE},
    ],
}


def rights_of(
    catalog: Catalog, chosen: Iterable[str], project: Project, namespace: str
) -> Iterator[tuple[str, str, Manifest]]:
    """Kind, name and content of every role and binding of a project, in the order of their creation."""
    names = set(chosen)
    components = [entry.component for name, entry in catalog.entries.items() if name in names]
    parts = [each.projects for each in components if each.projects]
    for role in ROLES:
        yield "Role", role, {"rules": [*_BASE[role], *_rules(parts, role)]}
    for role in ROLES:
        yield "RoleBinding", role, _binding("Role", role, _subjects(project, namespace, role))
    if any(part.people for part in parts):
        yield "Role", PERSON, {"rules": _person(parts)}
    for component in components:
        if rules := [*_own_rules(component), *_shown(component, parts)]:
            name = f"pods-{component.name}"
            account = {"kind": "ServiceAccount", "name": component.name, "namespace": component.namespace}
            yield "Role", name, {"rules": rules}
            yield "RoleBinding", name, _binding("Role", name, [account])
    yield from _readers(parts, project, namespace)


def _rules(parts: Iterable[ProjectsPart], role: Role) -> list[Manifest]:
    """The rules of the components, in the catalogue's order."""
    return [rule.manifest for part in parts for rule in getattr(part, role)]


def _person(parts: Sequence[ProjectsPart]) -> list[Manifest]:
    """The rights of a person's pod: to read, and to change objects of components. It creates no pods or Jobs
    itself: its clients do not need that."""
    return [*_BASE["view"], *(rule for role in ROLES for rule in _rules(parts, role))]


def _own_rules(component: Component) -> list[Manifest]:
    """The rights of a component's own account."""
    part = component.projects
    if part is None:
        return []
    rules = [*(_PODS if part.pods else []), *([_LOGS] if part.logs and not part.pods else [])]
    rules += _PEOPLE if part.people else []
    return [*rules, *(rule.manifest for rule in part.account)]


def _shown(component: Component, parts: Iterable[ProjectsPart]) -> list[Manifest]:
    """The rights of the home page: the quota, the lists of components, and runs."""
    if not any(served.home for served in component.serves.values()):
        return []
    rules = [_QUOTA]
    for part in parts:
        rules += [each.manifest for each in part.shows]
        if part.models and part.models.runs:
            rules += [{**rule.manifest, "verbs": ["get"]} for rule in part.view if "get" in rule.verbs]
    return rules


def _readers(
    parts: Iterable[ProjectsPart], project: Project, namespace: str
) -> Iterator[tuple[str, str, Manifest]]:
    """The right of members and of all accounts, those of people too, to read kinds in no namespace."""
    rules = [
        {"apiGroups": each.groups, "resources": each.resources, "verbs": _READ}
        for part in parts
        for each in part.reads
    ]
    if rules:
        name = f"{_READERS}{namespace}"
        accounts = {"apiGroup": RBAC, "kind": "Group", "name": f"system:serviceaccounts:{namespace}"}
        yield "ClusterRole", name, {"rules": rules}
        subjects = [*_members(project, "view"), accounts]
        yield "ClusterRoleBinding", name, _binding("ClusterRole", name, subjects)


def _binding(kind: str, role: str, subjects: Sequence[Manifest]) -> Manifest:
    return {"roleRef": {"apiGroup": RBAC, "kind": kind, "name": role}, "subjects": list(subjects)}


def _subjects(project: Project, namespace: str, role: Role) -> list[Manifest]:
    """Members and accounts; a member with `edit` has both roles."""
    accounts = [
        {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        for name, its in ACCOUNTS.items()
        if role in ("view", its)
    ]
    return [*_members(project, role), *accounts]


def _members(project: Project, role: Role) -> list[Manifest]:
    return [
        {"apiGroup": RBAC, "kind": member.kind.capitalize(), "name": member.name}
        for member in project.members
        if role in ("view", member.role)
    ]
