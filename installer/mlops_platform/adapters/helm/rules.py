"""Rules of a component for the objects of its upstream's charts: objects left out, narrowed or set.

No rule can add a right, or let a webhook see more objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Place = tuple[str | int, ...]
Used = set[Place]
CONDITION = "platform"  # the name of the condition that `limit_webhooks` adds
_ROLES = ("ClusterRole", "Role")


@dataclass(frozen=True)
class WebhookLimit:
    """Webhooks that see only objects with all these labels, for which the CEL expression is true."""

    names: tuple[str, ...]
    labels: tuple[str, ...] = ()
    condition: str = ""


@dataclass(frozen=True)
class OmittedRight:
    """A right that is taken out of every role; without resources or verbs, all of them."""

    groups: tuple[str, ...]
    resources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()


@dataclass(frozen=True)
class JsonKeys:
    """Keys of the JSON object in one key of a ConfigMap; `text` is JSON, with the new values."""

    config_map: str
    key: str
    text: str


@dataclass(frozen=True)
class Rules:
    """All rules of a release. `omit` has kinds, or 'Kind/name'; the other omissions are names."""

    omit: tuple[str, ...] = ()
    omit_containers: tuple[str, ...] = ()
    omit_webhooks: tuple[str, ...] = ()
    limit_webhooks: tuple[WebhookLimit, ...] = ()
    omit_rights: tuple[OmittedRight, ...] = ()
    set_json: tuple[JsonKeys, ...] = ()

    def identity(self) -> tuple[str, ...]:
        """One text for each rule: a changed rule is another release."""
        return (
            *(f"-{each}" for each in self.omit),
            *(f"-container/{each}" for each in self.omit_containers),
            *(f"-webhook/{each}" for each in self.omit_webhooks),
            *(repr(each) for each in (*self.limit_webhooks, *self.omit_rights, *self.set_json)),
        )

    def entries(self) -> Iterator[tuple[Place, str]]:
        """The place of each entry below the key of the source, and what it must match."""
        yield from ((("omit", i), f"{e}: the charts have no such object") for i, e in enumerate(self.omit))
        for i, name in enumerate(self.omit_containers):
            yield ("omitContainers", i), f"{name}: the charts have no such container"
        for i, name in enumerate(self.omit_webhooks):
            yield ("omitWebhooks", i), f"{name}: the charts have no such webhook"
        for i, limit in enumerate(self.limit_webhooks):
            for j, name in enumerate(limit.names):
                yield ("limitWebhooks", i, "names", j), f"{name}: the charts have no such webhook"
        for i, right in enumerate(self.omit_rights):
            for key in ("groups", "resources", "verbs"):
                for j, value in enumerate(getattr(right, key)):
                    what = f"{value or 'the core group'}: no role of the charts has such a right"
                    yield ("omitRights", i, key, j), what
        for i, keys in enumerate(self.set_json):
            what = f"{keys.config_map}: the charts have no such ConfigMap with a JSON object in {keys.key}"
            yield ("setJson", i), what


NO_RULES = Rules()


def omitted(each: dict[str, Any], rules: Rules, used: Used) -> bool:
    """Return whether the object is left out."""
    names = {each["kind"], f"{each['kind']}/{each['metadata']['name']}"}
    found = [("omit", i) for i, entry in enumerate(rules.omit) if entry in names]
    used.update(found)
    return bool(found)


def kept_containers(containers: list[Any], rules: Rules, used: Used) -> list[Any]:
    """The containers that are not left out."""
    return _kept(containers, rules.omit_containers, "omitContainers", used)


def change_webhooks(each: dict[str, Any], rules: Rules, used: Used) -> None:
    """Leave out and limit webhooks of a configuration. A limit adds to what a webhook has already."""
    each["webhooks"] = _kept(each.get("webhooks") or [], rules.omit_webhooks, "omitWebhooks", used)
    for hook in each["webhooks"]:
        for i, limit in enumerate(rules.limit_webhooks):
            if hook["name"] in limit.names:
                used.add(("limitWebhooks", i, "names", limit.names.index(hook["name"])))
                _limit(hook, limit)


def _kept(named: list[Any], names: Sequence[str], key: str, used: Used) -> list[Any]:
    used.update((key, names.index(each["name"])) for each in named if each["name"] in names)
    return [each for each in named if each["name"] not in names]


def _limit(hook: dict[str, Any], limit: WebhookLimit) -> None:
    if limit.labels:
        # On an update the API server calls the webhook if the old or the new object has the labels.
        selector = hook.setdefault("objectSelector", {})
        wanted = [{"key": label, "operator": "Exists"} for label in limit.labels]
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or []), *wanted]
    if limit.condition:
        condition = {"name": CONDITION, "expression": limit.condition}
        hook["matchConditions"] = [*(hook.get("matchConditions") or []), condition]


def set_json(each: dict[str, Any], rules: Rules, used: Used) -> None:
    """Set keys of JSON objects in a ConfigMap. A text that is no JSON object stays, and is reported."""
    data = each.get("data") or {}
    for i, keys in enumerate(rules.set_json):
        if (each["kind"], each["metadata"]["name"]) != ("ConfigMap", keys.config_map):
            continue
        try:
            found = json.loads(data.get(keys.key, ""))
        except ValueError:
            continue
        if isinstance(found, dict):
            used.add(("setJson", i))
            data[keys.key] = json.dumps({**found, **json.loads(keys.text)}, indent=2)


def take_rights(each: dict[str, Any], rules: Rules, used: Used) -> None:
    """Take the omitted rights out of a role."""
    if each["kind"] not in _ROLES or not rules.omit_rights:
        return
    found = each.get("rules") or []
    for i, right in enumerate(rules.omit_rights):
        found = [left for rule in found for left in _without(rule, right, ("omitRights", i), used)]
    each["rules"] = found


def _without(rule: dict[str, Any], right: OmittedRight, place: Place, used: Used) -> Iterator[dict[str, Any]]:
    """The parts of one rule that stay: other groups, other resources of these groups, other verbs on them.

    A wildcard stays whole: nothing can be taken out of it.
    """
    parts = (("apiGroups", "groups"), ("resources", "resources"), ("verbs", "verbs"))
    having = {key: rule.get(key) or [] for key, _ in parts}
    taken = {key: [v for v in having[key] if v in (getattr(right, own) or having[key])] for key, own in parts}
    if not all(taken.values()):
        yield rule
        return
    for key, own in parts:
        values = getattr(right, own)
        used.update((*place, own, values.index(value)) for value in taken[key] if value in values)
    inner = dict(rule)
    for key, _ in parts:
        if rest := [value for value in having[key] if value not in taken[key]]:
            yield {**inner, key: rest}
        inner[key] = taken[key]
