"""Rules for webhooks and rights of a component's upstream: they only narrow what the charts have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlops_platform.adapters.helm import JsonKeys, ModuleCharts, OmittedRight, Release, Rules, WebhookLimit
from mlops_platform.adapters.helm.rendered import Rendered, changed

RELEASE = Release("m", "m", ModuleCharts("example.com/m", "v1.0.0", (), ("charts/m",)), {})


def webhooks(rules: Rules, *hooks: dict[str, Any]) -> list[dict[str, Any]]:
    """The webhooks of a release's one configuration, after the rules."""
    (found,) = changed([configuration(*hooks)], RELEASE, rules).objects
    result: list[dict[str, Any]] = found["webhooks"]
    return result


def configuration(*hooks: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "a"}, "webhooks": list(hooks)}


def roles(rights: list[OmittedRight], *rules: dict[str, Any]) -> Rendered:
    role = {"kind": "ClusterRole", "metadata": {"name": "a"}, "rules": list(rules)}
    return changed([role], RELEASE, Rules(omit_rights=tuple(rights)))


def rule(groups: list[str], resources: list[str], verbs: list[str], **more: Any) -> dict[str, Any]:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs, **more}


def test_omitted_webhooks_are_left_out() -> None:
    assert webhooks(Rules(omit_webhooks=("a",)), {"name": "a"}, {"name": "b"}) == [{"name": "b"}]


def test_limit_adds_to_the_selector_and_conditions_of_the_chart() -> None:
    limit = WebhookLimit(("a", "b"), labels=("x/queue",), condition="object.spec.suspend")
    has = {"matchLabels": {"k": "v"}, "matchExpressions": [{"key": "old", "operator": "Exists"}]}
    first = {"name": "a", "objectSelector": has, "matchConditions": [{"name": "c", "expression": "true"}]}
    found = webhooks(Rules(limit_webhooks=(limit,)), first, {"name": "b"}, {"name": "other"})
    queue, condition = (
        {"key": "x/queue", "operator": "Exists"},
        {"name": "platform", "expression": limit.condition},
    )
    assert found[0]["objectSelector"] == {
        "matchLabels": {"k": "v"},
        "matchExpressions": [{"key": "old", "operator": "Exists"}, queue],
    }
    assert found[0]["matchConditions"] == [{"name": "c", "expression": "true"}, condition]
    assert found[1]["objectSelector"] == {"matchExpressions": [queue]}
    assert found[1]["matchConditions"] == [condition]
    assert found[2] == {"name": "other"}


SECRETS = rule([""], ["pods", "secrets"], ["get", "list", "update"])


@pytest.mark.parametrize(
    ("right", "before", "after"),
    [
        pytest.param(
            OmittedRight(("", "apps")),
            [SECRETS, rule(["apps", "batch"], ["*"], ["get"]), {"nonResourceURLs": ["/a"], "verbs": ["get"]}],
            [rule(["batch"], ["*"], ["get"]), {"nonResourceURLs": ["/a"], "verbs": ["get"]}],
            id="whole groups",
        ),
        pytest.param(
            OmittedRight(("",), ("secrets",)),
            [SECRETS],
            [rule([""], ["pods"], ["get", "list", "update"])],
            id="a resource",
        ),
        pytest.param(
            OmittedRight(("",), ("secrets",), ("update", "list")),
            [SECRETS],
            [rule([""], ["pods"], ["get", "list", "update"]), rule([""], ["secrets"], ["get"])],
            id="verbs of a resource",
        ),
        pytest.param(
            OmittedRight(("a",), ("r",), ("get",)),
            [rule(["a", "b"], ["r"], ["get", "list"], resourceNames=["one"])],
            [
                rule(["b"], ["r"], ["get", "list"], resourceNames=["one"]),
                rule(["a"], ["r"], ["list"], resourceNames=["one"]),
            ],
            id="verbs of one of two groups, and of one object",
        ),
        pytest.param(
            OmittedRight(("",), ("secrets",)),
            [rule(["*"], ["*"], ["*"]), rule([""], ["secrets/status"], ["get"])],
            [rule(["*"], ["*"], ["*"]), rule([""], ["secrets/status"], ["get"])],
            id="a wildcard stays whole",
        ),
    ],
)
def test_right_is_taken_out_of_roles(
    right: OmittedRight, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    assert roles([right], *before).objects[0]["rules"] == after


def test_each_value_of_an_entry_must_match() -> None:
    right = OmittedRight(("", "gone"), ("secrets", "pods"), ("get", "watch"))
    found = roles([right], rule([""], ["secrets"], ["get"]))
    assert found.objects[0]["rules"] == []
    assert [place for place, _ in found.unmatched] == [
        ("omitRights", 0, "groups", 1),
        ("omitRights", 0, "resources", 1),
        ("omitRights", 0, "verbs", 1),
    ]


def config(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_json_keys_are_set_in_one_key_of_one_configmap() -> None:
    text = '{"mode": "a", "rest": {"x": 1}}'
    rules = Rules(set_json=(JsonKeys("m", "deploy", '{"mode": "b", "list": ["c"]}'),))
    found = changed([config("m", deploy=text, other=text), config("n", deploy=text)], RELEASE, rules)
    assert json.loads(found.objects[0]["data"]["deploy"]) == {"mode": "b", "rest": {"x": 1}, "list": ["c"]}
    assert found.objects[0]["data"]["other"] == found.objects[1]["data"]["deploy"] == text
    assert not found.unmatched


@pytest.mark.parametrize("text", ["a: b", "[]", ""])
def test_json_keys_of_a_text_that_is_no_object_are_reported(text: str) -> None:
    rules = Rules(set_json=(JsonKeys("m", "k", "{}"), JsonKeys("gone", "k", "{}")))
    found = changed([config("m", k=text)], RELEASE, rules)
    assert found.objects[0]["data"] == {"k": text}
    assert [place for place, _ in found.unmatched] == [("setJson", 0), ("setJson", 1)]


def test_changed_rule_is_another_release() -> None:
    limit = WebhookLimit(("a",), ("x/queue",))
    rules = [
        Rules(),
        Rules(omit_webhooks=("a",)),
        Rules(omit=("a",)),
        Rules(limit_webhooks=(limit,)),
        Rules(omit_rights=(OmittedRight(("a",)),)),
        Rules(omit_rights=(OmittedRight(("a",), ("b",)),)),
        Rules(set_json=(JsonKeys("a", "k", "{}"),)),
    ]
    assert len({each.identity() for each in rules}) == len(rules)
