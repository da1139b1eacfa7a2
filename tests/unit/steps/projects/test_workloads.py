"""Workloads that keep a project from being removed."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.steps.projects.workloads import running


def conditions(kind: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("kind", "status", "runs"),
    [
        ("Job", None, True),
        ("Job", {"active": 1}, True),
        ("Job", conditions("Complete"), False),
        ("Job", conditions("Failed"), False),
        ("Job", conditions("Suspended"), True),
        ("Pod", {"phase": "Running"}, True),
        ("Pod", {"phase": "Pending"}, True),
        ("Pod", {"phase": "Succeeded"}, False),
        ("InferenceService", conditions("Ready"), True),
        ("InferenceService", conditions("Ready", "False"), True),
        ("TrainJob", conditions("Complete", "False"), True),
        ("TrainJob", conditions("Complete"), False),
        ("TrainingRuntime", None, False),
        ("ServingRuntime", {}, False),
        ("CronJob", {"lastScheduleTime": "2026-11-29T00:00:00Z"}, False),
    ],
)
def test_only_what_has_not_ended_runs(kind: str, status: dict[str, Any] | None, runs: bool) -> None:
    found = {"kind": kind, "metadata": {"name": "one"}, "status": status}
    assert bool(running([found])) == runs
