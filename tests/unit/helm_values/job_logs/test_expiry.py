"""Old TrainJobs: only those that ended, and that no annotation keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.helm_values.job_logs.conftest import load

expiry = load("expiry")
BEFORE = datetime(2026, 11, 20, tzinfo=UTC)
OLD, NEW = "2026-11-19T10:00:00Z", "2026-11-21T10:00:00Z"


def job(condition: str, when: str, status: str = "True", **annotations: str) -> dict[str, Any]:
    conditions = [{"type": condition, "status": status, "lastTransitionTime": when}]
    return {"metadata": {"annotations": annotations}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("found", "old"),
    [
        (job("Complete", OLD), True),
        (job("Failed", OLD), True),
        (job("Complete", NEW), False),
        (job("Suspended", OLD), False),
        (job("Failed", OLD, status="False"), False),
        (job("Complete", OLD, **{"mlops-platform/keep": "true"}), False),
        ({"metadata": {}}, False),
    ],
)
def test_finished_jobs_are_old_after_their_days(found: dict[str, Any], old: bool) -> None:
    assert expiry.is_old(found, BEFORE) is old
