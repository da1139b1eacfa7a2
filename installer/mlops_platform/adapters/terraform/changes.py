"""Changes of a plan, object by object, parsed from `show -json`.

The format: https://developer.hashicorp.com/terraform/internals/json-format#change-representation
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Action = Literal["create", "update", "replace", "destroy", "forget"]
# Both orders of a replacement destroy the old object. `forget` comes from `removed` blocks (Terraform 1.7).
_ACTIONS: Mapping[tuple[str, ...], Action] = {
    ("create",): "create",
    ("update",): "update",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("delete",): "destroy",
    ("forget",): "forget",
    ("create", "forget"): "replace",
}
_QUIET = (["no-op"], ["read"])
_NOTHING = (None, "")  # providers write either, and take one for the other
_SENSITIVE, _LATER = "(sensitive)", "(known after apply)"


@dataclass(frozen=True)
class Change:
    """The planned change of one object.

    `details` are its changed attributes ('max_size: 4 → 8'), `before` the object in the state without
    sensitive values, `reason` Terraform's own text. An `incomplete` object was tainted by a failed creation,
    so it holds no data.
    """

    address: str
    type: str
    action: Action
    reason: str = ""
    details: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    incomplete: bool = False

    @property
    def destroys(self) -> bool:
        return self.action in ("destroy", "replace")


@dataclass(frozen=True)
class Changes:
    """All objects with a planned change, in the order of their addresses."""

    all: tuple[Change, ...] = ()

    def of(self, action: Action) -> tuple[Change, ...]:
        return tuple(change for change in self.all if change.action == action)

    def marked(self, incomplete: Collection[str]) -> Changes:
        """The same changes, with the objects of these addresses marked as incomplete."""
        return Changes(tuple(replace(change, incomplete=change.address in incomplete) for change in self.all))

    @property
    def destroying(self) -> tuple[Change, ...]:
        return tuple(change for change in self.all if change.destroys)


def parse(text: str) -> Changes:
    """Parse the output of `show -json FILE`. Raises ValueError for an unknown action, which may destroy."""
    found = [_change(each) for each in json.loads(text).get("resource_changes") or () if _acts(each)]
    return Changes(tuple(sorted(found, key=lambda change: change.address)))


def only_created(events: str) -> Changes | None:
    """Parse the events of `plan -json` if all actions are creations, which have no details to show.

    None if there is any other action.
    """
    found = []
    for line in events.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("type") != "planned_change":
            continue
        change, resource = event["change"], event["change"]["resource"]
        if change["action"] in ("noop", "read"):
            continue
        if change["action"] != "create":
            return None
        found.append(Change(resource["addr"], resource["resource_type"], "create"))
    return Changes(tuple(sorted(found, key=lambda change: change.address)))


def _acts(resource: Mapping[str, Any]) -> bool:
    return resource["mode"] == "managed" and resource["change"]["actions"] not in _QUIET


def _change(resource: Mapping[str, Any]) -> Change:
    change = resource["change"]
    action = _ACTIONS.get(tuple(change["actions"]))
    if action is None:
        raise ValueError(f"{resource['address']}: {change['actions']}: not an action known here")
    before = _without(change.get("before") or {}, change.get("before_sensitive") or {})
    # Only values unknown before the apply differ then: every attribute would be listed for nothing.
    tainted = resource.get("action_reason") == "replace_because_tainted"
    return Change(
        address=resource["address"],
        type=resource["type"],
        action=action,
        reason=str(resource.get("action_reason") or "").replace("_", " "),
        details=() if action not in ("update", "replace") or tainted else tuple(_details(change)),
        before=before,
    )


def _details(change: Mapping[str, Any]) -> Iterator[str]:
    """One line for each changed attribute; for a replacement only those that force it, if they are known."""
    before = dict(_leaves(_without(change.get("before") or {}, change.get("before_sensitive"))))
    after = dict(_leaves(_without(change.get("after") or {}, change.get("after_sensitive"))))
    later = {path for path, value in _leaves(change.get("after_unknown") or {}) if value is True}
    forced = [".".join(str(p) for p in path) for path in change.get("replace_paths") or ()]
    for path in sorted({*before, *after, *later}):
        computed = any(path == each or path.startswith(f"{each}.") for each in later)
        old, new = before.get(path), _LATER if computed else after.get(path)
        forces = any(path == each or path.startswith(f"{each}.") for each in forced)
        if old == new or (forced and not forces) or (old in _NOTHING and new in _NOTHING):
            continue
        if new == _LATER and not forces:
            continue  # computed, and usually the same afterwards
        yield f"{_readable(path)}: {_shown(old)} → {_shown(new)}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with its path, such as 'scaling_config.0.max_size'."""
    if isinstance(value, Mapping):
        pairs = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list):
        pairs = [(str(number), each) for number, each in enumerate(value)]
    else:
        yield path, value
        return
    for key, each in pairs:
        yield from _leaves(each, f"{path}.{key}" if path else key)


def _without(value: Any, sensitive: Any) -> Any:
    """The value without the parts that Terraform marks as sensitive."""
    if sensitive is True:
        return _SENSITIVE
    if isinstance(value, Mapping) and isinstance(sensitive, Mapping):
        return {key: _without(each, sensitive.get(key)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * len(value)]
        return [_without(each, mark) for each, mark in zip(value, marks, strict=False)]
    return value


def _readable(path: str) -> str:
    """The path without the index 0 of blocks that occur once, which are lists of one."""
    return ".".join(part for part in path.split(".") if part != "0")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
