"""The answers of probe pods: allowed connections work at last, all others never."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlops_platform.smoke.answers import Report, Source, Target, parse, results_of

SOURCE = Source("reader", "reach", "reader", frozenset({"store:1"}))
TARGETS = (
    Target("store:1", "store.store.svc", 1),
    Target("store:1", "10.0.0.5", 1),
    Target("other:2", "10.0.0.6", 2),
)
GOOD: dict[int, dict[str, Any]] = {0: {"reached": True}, 1: {"reached": True}, 2: {"reached": False}}


def report(answers: dict[int, dict[str, Any]], *more: str) -> Report:
    lines = [
        json.dumps(
            {
                "target": i,
                "ever": answer["reached"],
                "stable": True,
                "last": "" if answer["reached"] else "TimeoutError",
                "attempts": 3,
                "seconds": 1.0,
                **answer,
            }
        )
        for i, answer in answers.items()
    ]
    return parse(SOURCE, TARGETS, "\n".join(["a line of a library", *more, *lines]))


def wrong(found: Report) -> dict[str, str]:
    return {result.name: result.detail for result in results_of(found) if not result.ok}


def test_expected_answers_pass() -> None:
    results = results_of(report(GOOD))
    assert [(r.name, r.ok, r.negative) for r in results] == [
        ("reader resolves names", True, False),
        ("reader reaches store:1", True, False),
        ("refused: reader to other:2", True, True),
    ]


@pytest.mark.parametrize(
    ("change", "name", "detail"),
    [
        ({1: {"reached": False}}, "reader reaches store:1", "10.0.0.5:1: TimeoutError"),
        ({2: {"reached": True}}, "refused: reader to other:2", "10.0.0.6:2: the connection was allowed"),
        (
            {2: {"reached": False, "ever": True}},
            "refused: reader to other:2",
            "10.0.0.6:2: the connection was allowed at first",
        ),
        (
            {0: {"reached": True, "stable": False}},
            "reader reaches store:1",
            "store.store.svc:1: sometimes reached, sometimes not",
        ),
        (
            {2: {"reached": False, "stable": False}},
            "refused: reader to other:2",
            "10.0.0.6:2: sometimes reached, sometimes not",
        ),
    ],
)
def test_wrong_answer_is_reported_with_address(
    change: dict[int, dict[str, Any]], name: str, detail: str
) -> None:
    assert wrong(report({**GOOD, **change})) == {name: detail}


def test_late_allowed_connection_passes() -> None:
    assert wrong(report({**GOOD, 1: {"reached": True, "ever": True}})) == {}


def test_missing_answer_and_unknown_name_fail() -> None:
    found = report({0: {"reached": True}}, json.dumps({"name": "x.svc", "error": "no such name"}))
    assert wrong(found) == {
        "reader resolves names": "x.svc: no such name",
        "reader gives answers": "2 answers are missing",
    }
