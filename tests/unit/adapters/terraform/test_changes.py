"""Parsed plans: known actions, hidden sensitive values, reasons of replacements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlops_platform.adapters.terraform.changes import Change, only_created, parse


def resource(actions: list[str], address: str = "aws_thing.a", **change: Any) -> dict[str, Any]:
    more: dict[str, Any] = {key: change.pop(key) for key in ("mode", "action_reason") if key in change}
    return {
        "address": address,
        "mode": "managed",
        "type": address.split(".")[0],
        "change": {"actions": actions, "before": None, "after": None, **change},
        **more,
    }


def parsed(*resources: dict[str, Any]) -> tuple[Change, ...]:
    return parse(json.dumps({"format_version": "1.2", "resource_changes": list(resources)})).all


@pytest.mark.parametrize(
    ("actions", "action", "destroys"),
    [
        (["create"], "create", False),
        (["update"], "update", False),
        (["delete", "create"], "replace", True),
        (["create", "delete"], "replace", True),
        (["delete"], "destroy", True),
        (["forget"], "forget", False),
    ],
)
def test_every_action_is_known(actions: list[str], action: str, destroys: bool) -> None:
    (found,) = parsed(resource(actions))
    assert (found.action, found.destroys) == (action, destroys)


def test_no_op_and_read_are_no_changes() -> None:
    assert parsed(resource(["no-op"]), resource(["read"]), resource(["create"], mode="data")) == ()
    assert parse("{}").all == ()


def test_unknown_action_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"aws_thing\.a"):
        parsed(resource(["explode"]))


def test_change_lists_attributes_without_computed_ones() -> None:
    before = {"scaling": [{"max": 4, "min": 0}], "labels": {"a/b": "x"}, "arn": "arn:1", "same": 1}
    after = {"scaling": [{"max": 8, "min": 0}], "labels": {"a/b": "y", "c": "z"}, "same": 1}
    (found,) = parsed(resource(["update"], before=before, after=after, after_unknown={"arn": True}))
    assert found.details == ("labels.a/b: x → y", "labels.c: - → z", "scaling.max: 4 → 8")
    assert found.before == before


def test_replacement_lists_the_attributes_that_force_it() -> None:
    change: dict[str, Any] = {
        "before": {"name": "a", "size": 1, "key": "old"},
        "after": {"name": "a", "size": 2},
        "after_unknown": {"key": True},
        "replace_paths": [["key"]],
    }
    (found,) = parsed(resource(["delete", "create"], action_reason="replace_because_cannot_update", **change))
    assert found.details == ("key: old → (known after apply)",)
    assert found.reason == "replace because cannot update"


def test_null_equals_empty_and_tainted_object_has_only_its_reason() -> None:
    change: dict[str, Any] = {"before": {"a": "", "b": "x"}, "after": {"a": None, "b": ""}}
    (found,) = parsed(resource(["update"], **change))
    assert found.details == ("b: x → ",)
    (found,) = parsed(resource(["delete", "create"], action_reason="replace_because_tainted", **change))
    assert (found.details, found.reason) == ((), "replace because tainted")


def test_sensitive_values_are_not_shown() -> None:
    change: dict[str, Any] = {
        "before": {"password": "hunter2", "all": {"token": "hunter3"}, "list": [{"key": "hunter4"}]},
        "after": {"password": "hunter5", "all": {"token": "hunter6"}, "list": [{"key": "hunter7"}]},
        "before_sensitive": {"password": True, "all": True, "list": [{"key": True}]},
        "after_sensitive": {"password": True, "all": True, "list": [{"key": True}]},
    }
    (found,) = parsed(resource(["update"], **change))
    assert "hunter" not in repr(found)


def event(action: str, address: str = "aws_thing.a") -> str:
    planned = {"resource": {"addr": address, "resource_type": "aws_thing"}, "action": action}
    return json.dumps({"type": "planned_change", "@message": "", "change": planned})


def test_events_suffice_for_a_plan_that_only_creates() -> None:
    lines = [event("create", "aws_thing.b"), event("read", "data.x"), "not json", event("create")]
    found = only_created("\n".join(lines))
    assert found and [c.address for c in found.all] == ["aws_thing.a", "aws_thing.b"]
    nothing = only_created('{"type": "version"}')
    assert nothing is not None and nothing.all == ()


@pytest.mark.parametrize("action", ["update", "replace", "delete", "move", "import", "remove"])
def test_other_plans_require_show(action: str) -> None:
    assert only_created(f"{event('create')}\n{event(action)}") is None
