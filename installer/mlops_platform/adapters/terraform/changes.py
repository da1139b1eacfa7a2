"""Owns what a planned run would do, object by object, out of `show -json` of its plan.

The format: https://developer.hashicorp.com/terraform/internals/json-format#change-representation
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Action = Literal["create", "update", "replace", "destroy", "forget"]
# Both orders of a replacement destroy what was there. Terraform 1.7 has `forget`, of `removed` blocks.
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
    """What happens to one object. `details` are its attributes that change, 'max_size: 4 → 8'; `before`
    is the object as the state has it, without what is sensitive; `reason` is Terraform's, in its words;
    `unmade` is what never was made completely, so that nothing can be lost with it."""

    address: str
    type: str
    action: Action
    reason: str = ""
    details: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    unmade: bool = False

    @property
    def destroys(self) -> bool:
        return self.action in ("destroy", "replace")


@dataclass(frozen=True)
class Changes:
    """All objects that are not left as they are, in the order of their addresses."""

    all: tuple[Change, ...] = ()

    def of(self, action: Action) -> tuple[Change, ...]:
        return tuple(change for change in self.all if change.action == action)

    def marked(self, unmade: Collection[str]) -> Changes:
        """The same, with those of these addresses as never made completely."""
        return Changes(tuple(replace(change, unmade=change.address in unmade) for change in self.all))

    @property
    def destroying(self) -> tuple[Change, ...]:
        return tuple(change for change in self.all if change.destroys)


def parse(text: str) -> Changes:
    """Of the output of `show -json FILE`. Raises ValueError for an action nobody here knows: what it would
    do must not be passed over."""
    found = [_change(each) for each in json.loads(text).get("resource_changes") or () if _acts(each)]
    return Changes(tuple(sorted(found, key=lambda change: change.address)))


def only_created(events: str) -> Changes | None:
    """Of the events of `plan -json`, when it does nothing but create: nothing more is to be shown of these.

    None when it does anything else.
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
    # Nothing differs then but what Terraform has not yet heard: every attribute would be named for nothing.
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
    """One line an attribute that differs; for a replacement only those that force it, when they are known."""
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
            continue  # computed, and most often the same again
        yield f"{_readable(path)}: {_shown(old)} → {_shown(new)}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is neither a mapping nor a list, with its path: 'scaling_config.0.max_size'."""
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
    """The value with what Terraform marks as sensitive, whole or in parts, taken out."""
    if sensitive is True:
        return _SENSITIVE
    if isinstance(value, Mapping) and isinstance(sensitive, Mapping):
        return {key: _without(each, sensitive.get(key)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(sensitive, list):
        marks = [*sensitive, *[None] * len(value)]
        return [_without(each, mark) for each, mark in zip(value, marks, strict=False)]
    return value


def _readable(path: str) -> str:
    """Blocks that there can only be one of are lists of one: their number says nothing."""
    return ".".join(part for part in path.split(".") if part != "0")


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value)
