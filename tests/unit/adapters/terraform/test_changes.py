"""Proves that plans are read whole: every action known, what is sensitive kept out, what forces it named."""

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
def test_every_action_is_told_apart(actions: list[str], action: str, destroys: bool) -> None:
    (found,) = parsed(resource(actions))
    assert (found.action, found.destroys) == (action, destroys)


def test_what_stays_and_what_is_only_read_is_no_change() -> None:
    assert parsed(resource(["no-op"]), resource(["read"]), resource(["create"], mode="data")) == ()
    assert parse("{}").all == ()


def test_an_action_that_is_not_known_is_never_passed_over() -> None:
    with pytest.raises(ValueError, match=r"aws_thing\.a"):
        parsed(resource(["explode"]))


def test_changes_are_told_by_attribute_and_computed_ones_are_left_out() -> None:
    before = {"scaling": [{"max": 4, "min": 0}], "labels": {"a/b": "x"}, "arn": "arn:1", "same": 1}
    after = {"scaling": [{"max": 8, "min": 0}], "labels": {"a/b": "y", "c": "z"}, "same": 1}
    (found,) = parsed(resource(["update"], before=before, after=after, after_unknown={"arn": True}))
    assert found.details == ("labels.a/b: x → y", "labels.c: - → z", "scaling.max: 4 → 8")
    assert found.before == before


def test_of_a_replacement_what_forces_it_is_told_also_when_its_value_comes_later() -> None:
    change: dict[str, Any] = {
        "before": {"name": "a", "size": 1, "key": "old"},
        "after": {"name": "a", "size": 2},
        "after_unknown": {"key": True},
        "replace_paths": [["key"]],
    }
    (found,) = parsed(resource(["delete", "create"], action_reason="replace_because_cannot_update", **change))
    assert found.details == ("key: old → (known after apply)",)
    assert found.reason == "replace because cannot update"


def test_nothing_and_empty_is_one_and_a_tainted_object_has_only_its_reason() -> None:
    change: dict[str, Any] = {"before": {"a": "", "b": "x"}, "after": {"a": None, "b": ""}}
    (found,) = parsed(resource(["update"], **change))
    assert found.details == ("b: x → ",)
    (found,) = parsed(resource(["delete", "create"], action_reason="replace_because_tainted", **change))
    assert (found.details, found.reason) == ((), "replace because tainted")


def test_what_is_sensitive_is_shown_nowhere() -> None:
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


def test_events_are_enough_where_all_is_only_created() -> None:
    lines = [event("create", "aws_thing.b"), event("read", "data.x"), "not json", event("create")]
    found = only_created("\n".join(lines))
    assert found and [c.address for c in found.all] == ["aws_thing.a", "aws_thing.b"]
    nothing = only_created('{"type": "version"}')
    assert nothing is not None and nothing.all == ()


@pytest.mark.parametrize("action", ["update", "replace", "delete", "move", "import", "remove"])
def test_anything_else_wants_the_plan_itself(action: str) -> None:
    assert only_created(f"{event('create')}\n{event(action)}") is None
