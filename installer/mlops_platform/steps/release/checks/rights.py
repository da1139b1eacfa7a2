"""Check of rights outside of the component's namespace: no more than `clusterRights` lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_platform.catalogue.operator import ClusterRight
from mlops_platform.steps.release.checks.findings import Bounds, Finding, Object, title

_EVERYTHING = "*"
# Rights in a role with such a label are added to the roles of the cluster's own users.
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_KEY = ("clusterRights",)


@dataclass(frozen=True)
class Access:
    """One verb on one resource (all objects or one by name), or on a path that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""

    @property
    def target(self) -> tuple[str, str, str, str]:
        return self.group, self.resource, self.name, self.url


def findings(objects: Sequence[Object], bounds: Bounds) -> Iterator[Finding]:
    """Find rights that are not listed, listed rights that the release does not have, and other subjects."""
    roles = {o["metadata"]["name"]: o for o in objects if o["kind"] == "ClusterRole"}
    listed, used = bounds.component.cluster_rights, set[int]()
    granted: dict[str, None] = dict.fromkeys(name for name, role in roles.items() if _aggregated(role))
    for each in objects:
        if each["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
            continue
        yield from _subjects(each, bounds)
        wide = each["kind"] == "ClusterRoleBinding"
        if wide and each["roleRef"]["name"] in roles:
            granted.setdefault(each["roleRef"]["name"])
        elif wide or _namespace(each, bounds) != bounds.namespace:
            yield from _role(each, bounds, listed, used)
    for name in granted:
        yield from _rules(roles[name], listed, used)
    for index, right in enumerate(listed):
        if index not in used:
            what = f"{_named(right)}: the release does not have this right"
            yield Finding((*_KEY, index), what, "remove it")


def _aggregated(role: Object) -> bool:
    return any(key.startswith(_AGGREGATE) for key in role["metadata"].get("labels") or {})


def _namespace(each: Object, bounds: Bounds) -> str:
    return each["metadata"].get("namespace") or bounds.namespace


def _subjects(binding: Object, bounds: Bounds) -> Iterator[Finding]:
    """A release gives rights to its own accounts only."""
    for subject in binding.get("subjects") or []:
        own = subject["kind"] == "ServiceAccount"
        if not own or subject.get("namespace", bounds.namespace) != bounds.namespace:
            what = f"{title(binding)}: rights for {subject['kind']} {subject['name']}"
            yield Finding(bounds.source, what, f"add {binding['kind']}/{binding['metadata']['name']} to omit")


def _role(
    binding: Object, bounds: Bounds, listed: Sequence[ClusterRight], used: set[int]
) -> Iterator[Finding]:
    """A binding of a role that is no part of the release, or a binding in another namespace."""
    role = binding["roleRef"]["name"]
    space = None if binding["kind"] == "ClusterRoleBinding" else _namespace(binding, bounds)
    found = [i for i, each in enumerate(listed) if (each.role, each.namespace) == (role, space)]
    used.update(found)
    if not found:
        where = f", namespace: {space}" if space else ""
        yield Finding(
            _KEY,
            f"{title(binding)}: binds {role}",
            f"list {{role: {role}{where}, why: …}}, or omit the binding",
        )


def _rules(role: Object, listed: Sequence[ClusterRight], used: set[int]) -> Iterator[Finding]:
    """Every access of a role's rules must be covered by one listed right."""
    if role.get("aggregationRule"):
        what = f"{title(role)}: its rules are those of other roles"
        yield Finding(_KEY, what, "omit the role and its binding")
        return
    missing: list[Access] = []
    for access in _accesses(role.get("rules") or []):
        covering = [i for i, right in enumerate(listed) if _covers(right, access)]
        used.update(covering)
        if not covering:
            missing.append(access)
    for right in _grouped(missing):
        yield Finding(_KEY, f"{title(role)}: {_text(right)}", f"list {_as_key(right)}, or omit the role")


def _accesses(rules: Iterable[Mapping[str, Any]]) -> Iterator[Access]:
    for rule in rules:
        for verb in rule.get("verbs") or []:
            for group in rule.get("apiGroups") or []:
                for resource in rule.get("resources") or []:
                    for name in rule.get("resourceNames") or [""]:
                        yield Access(verb, group, resource, name)
            yield from (Access(verb, url=url) for url in rule.get("nonResourceURLs") or [])


def _covers(right: ClusterRight, access: Access) -> bool:
    """Kubernetes' own comparison: https://pkg.go.dev/k8s.io/component-helpers/auth/rbac/validation#Covers."""
    if access.verb not in right.verbs and _EVERYTHING not in right.verbs:
        return False
    if access.url:
        return any(
            url in (access.url, _EVERYTHING) or (url.endswith("*") and access.url.startswith(url[:-1]))
            for url in right.urls
        )
    subresource = f"*/{access.resource.partition('/')[2]}"
    groups = access.group in right.groups or _EVERYTHING in right.groups
    resources = {access.resource, _EVERYTHING, subresource} & set(right.resources)
    return groups and bool(resources) and (not right.names or access.name in right.names)


@dataclass(frozen=True)
class _Group:
    """Accesses that one entry of `clusterRights` can list."""

    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]
    urls: tuple[str, ...]
    verbs: tuple[str, ...]


def _grouped(accesses: Iterable[Access]) -> Iterator[_Group]:
    """Targets with the same group, names and verbs together: messages as short as the chart's rules."""
    verbs: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for access in accesses:
        verbs.setdefault(access.target, {}).setdefault(access.verb)
    together: dict[tuple[str, str, bool, tuple[str, ...]], list[tuple[str, str]]] = {}
    for (group, resource, name, url), found in verbs.items():
        key = (group, name, bool(url), tuple(found))
        together.setdefault(key, []).append((resource, url))
    for (group, name, is_url, same), targets in together.items():
        resources = () if is_url else tuple(resource for resource, _ in targets)
        urls = tuple(url for _, url in targets) if is_url else ()
        yield _Group(group, resources, (name,) if name else (), urls, same)


def _text(right: _Group) -> str:
    targets = ", ".join(right.urls or (_full(resource, right.group) for resource in right.resources))
    return f"may {', '.join(right.verbs)} {targets}{' ' + right.names[0] if right.names else ''}"


def _full(resource: str, group: str) -> str:
    """'jobs.batch/status', as `kubectl auth can-i` takes it."""
    name, slash, part = resource.partition("/")
    return f"{name}.{group}{slash}{part}" if group else resource


def _as_key(right: _Group) -> str:
    """The entry of `clusterRights`, to be pasted."""
    verbs = f"verbs: [{', '.join(_quoted(right.verbs))}], why: …}}"
    if right.urls:
        return f"{{urls: [{', '.join(_quoted(right.urls))}], {verbs}"
    names = f", names: [{', '.join(right.names)}]" if right.names else ""
    resources = ", ".join(_quoted(right.resources))
    return f"{{groups: [{_quoted([right.group])[0]}], resources: [{resources}]{names}, {verbs}"


def _quoted(texts: Iterable[str]) -> list[str]:
    return [f'"{text}"' if text in ("", _EVERYTHING) or text.startswith("*") else text for text in texts]


def _named(right: ClusterRight) -> str:
    if right.role:
        return f"role {right.role}"
    return f"{', '.join(right.verbs)} {', '.join(right.resources or right.urls)}"


def short(rights: Sequence[ClusterRight]) -> str:
    """All rights in one line for `plan`: what is changed before what is read."""
    reading = {"get", "list", "watch"}
    changes, reads = dict[str, None](), dict[str, None]()
    for right in rights:
        into = reads if set(right.verbs) <= reading else changes
        into |= dict.fromkeys(right.resources or right.urls or ())
    roles = [right.role for right in rights if right.role]
    parts = [("changes", list(changes)), ("reads", [r for r in reads if r not in changes]), ("roles", roles)]
    text = "; ".join(f"{word} {', '.join(found)}" for word, found in parts if found)
    return f"cluster-wide rights: {text}" if text else ""
