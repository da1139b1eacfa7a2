"""Members, quota and name of a project as the command line has them: every mistake in one pass."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields

from mlops_platform.base.errors import UsageError
from mlops_platform.base.groups import GROUPS
from mlops_platform.base.labels import PLATFORM_NAMESPACE
from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.steps.projects.model import ROLES, Member, Quota, Role

_NAME = r"[a-z0-9][-a-z0-9]{0,28}[a-z0-9]"
_PERSON = r"[A-Za-z0-9][A-Za-z0-9 @._+/-]{0,127}"  # without a colon: `system:masters` may do everything
_LEAST_MEMORY = "512Mi"
_MOST = {"cpu": 100_000.0, "memory": 2.0**50, "storage": 2.0**50}
_KEYS = tuple(each.name for each in fields(Quota))
Found = Iterator[str]


def parse(
    name: str,
    members: Sequence[str],
    quota: Sequence[str],
    catalog: Catalog,
    *,
    own_groups: bool,
) -> tuple[tuple[Member, ...], dict[str, str]]:
    """Return members and changed keys of the quota. Raises UsageError with every mistake.

    `own_groups`: the platform's own issuer signs people in, so its groups are known.
    """
    problems = [*name_problems(name, catalog)]
    found: dict[tuple[str, str], Member] = {}
    for text in members:
        member = _member(text, problems.append, own_groups=own_groups)
        if member and found.setdefault((member.kind, member.name), member) != member:
            problems.append(f"--member {text}: {member.name} has two roles (give it once)")
    given = dict(_quota(quota, problems.append))
    if problems:
        count = f"{len(problems)} mistakes" if len(problems) > 1 else "a mistake"
        raise UsageError(
            f"project {name}: {count}; nothing was changed",
            why="\n".join(problems),
            command=f"mlops-platform project add {_like(name)} --member data-scientists:edit "
            "--quota cpu=4,memory=8Gi,gpu=1",
        )
    return tuple(sorted(found.values())), given


def name_problems(name: str, catalog: Catalog) -> Found:
    """Find what is wrong with a project's name, which is also that of its namespace."""
    if not re.fullmatch(_NAME, name):
        yield f"name {name!r}: 2 to 30 lower-case letters, digits and dashes; no dash first or last"
        return
    owners = [e.component.name for e in catalog.entries.values() if e.component.namespace == name]
    if owners:
        yield f"name {name}: the namespace of the component {owners[0]} (choose another name)"
    elif used := [e.component.name for e in catalog.entries.values() if name in _reserved(e.component)]:
        yield f"name {name}: {used[0]} uses it (choose another name)"
    elif name in ("default", PLATFORM_NAMESPACE) or name.startswith(("kube-", f"{PLATFORM_NAMESPACE}-")):
        yield f"name {name}: reserved (choose another name)"
    elif name.startswith("mlops-"):
        yield f"name {name}: names that start with mlops- are reserved (choose another name)"


def _reserved(component: Component) -> list[str]:
    return component.projects.reserved if component.projects else []


def _member(text: str, say: Callable[[str], None], *, own_groups: bool) -> Member | None:
    who, colon, role = text.rpartition(":")
    kind, slash, name = who.partition("/")
    if not slash:
        kind, name = "group", who
    if not colon or role not in ROLES:
        close = difflib.get_close_matches(role, ROLES, 1) if colon else []
        hint = f"did you mean {who}:{close[0]}?" if close else "end with :view or :edit"
        say(f"--member {text}: no role ({hint})")
        return None
    if kind not in ("group", "user"):
        say(f"--member {text}: neither a group nor a user (write group/{who}:{role} or user/{name}:{role})")
        return None
    if not re.fullmatch(_PERSON, name):
        say(f"--member {text}: not a name of a {kind} (letters, digits, spaces and @._+/-)")
        return None
    if kind == "group" and own_groups and name not in GROUPS:
        say(f"--member {text}: no group {name} (known: {', '.join(GROUPS)}; a user: user/{name}:{role})")
        return None
    right: Role = "edit" if role == "edit" else "view"
    return Member("user" if kind == "user" else "group", name, right)


def _quota(texts: Sequence[str], say: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for part in (part.strip() for text in texts for part in text.split(",")):
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f"did you mean {close[0]}=…?" if close else f"known: {', '.join(_KEYS)}"
            say(f"--quota {part}: {'no value' if key in _KEYS else 'unknown'} ({hint})")
        elif seen.setdefault(key, value) != value:
            say(f"--quota {part}: {key} has two values (give it once)")
        elif wrong := _WRONG[key](value):
            say(f"--quota {part}: {wrong}")
        else:
            yield key, value


def _cpu(value: str) -> str:
    try:
        right = 0 < to_cores(value) <= _MOST["cpu"]
    except ValueError:
        right = False
    return "" if right else "not an amount of CPU (write 4 or 500m)"


def _bytes(key: str, least: str) -> Callable[[str], str]:
    def wrong(value: str) -> str:
        try:
            right = to_bytes(least) <= to_bytes(value) <= _MOST[key]
        except ValueError:
            right = False
        return "" if right else f"not an amount of at least {least} (write 8Gi)"

    return wrong


def _count(least: int, most: int) -> Callable[[str], str]:
    def wrong(value: str) -> str:
        right = re.fullmatch(r"[0-9]{1,6}", value) and least <= int(value) <= most
        return "" if right else f"not a whole number from {least} to {most}"

    return wrong


_WRONG: Mapping[str, Callable[[str], str]] = {
    "cpu": _cpu,
    "memory": _bytes("memory", _LEAST_MEMORY),
    "gpu": _count(0, 10_000),
    "storage": _bytes("storage", "0"),
    "pods": _count(1, 10_000),
}


def _like(name: str) -> str:
    """A right name that resembles the given one."""
    like = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30].strip("-")
    return like if re.fullmatch(_NAME, like) and not like.startswith(("kube-", "mlops-")) else "churn"
