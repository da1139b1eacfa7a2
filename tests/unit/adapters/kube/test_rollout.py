"""States of workloads and pods; most case files were recorded on a node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube.rollout import (
    SETTLE_SECONDS,
    belongs,
    pod_state,
    pods_of,
    refused,
    rolling,
    unsettled,
)

import tests

CASES = sorted((tests.CASES / "workloads").glob("*.yaml"))
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_state_of_workload_and_pods_is_as_in_the_case(file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    assert rolling(case["workload"]) == case["rolling"]
    own = pods_of(case["workload"], case["pods"])
    assert [str(pod_state(pod) or "ready") for pod in own] == case["states"]


def test_cases_are_found() -> None:
    assert len(CASES) >= 17


def test_deployment_without_pods_has_the_reason() -> None:
    case = yaml.safe_load(next(f for f in CASES if f.stem == "refused-by-pod-security").read_text())
    assert 'violates PodSecurity "restricted' in refused(case["workload"])


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({"app.kubernetes.io/instance": "store"}, None, True),
        (None, {"meta.helm.sh/release-name": "store"}, True),
        ({"app.kubernetes.io/instance": "other"}, {"meta.helm.sh/release-name": "store"}, True),
        ({"app.kubernetes.io/instance": "other"}, None, False),
        (None, None, False),
    ],
)
def test_workload_belongs_to_a_release_by_label_or_annotation(
    labels: Any, annotations: Any, expected: bool
) -> None:
    workload = {"metadata": {"labels": labels, "annotations": annotations}}
    assert belongs(workload, "store") is expected
    assert belongs(workload, "")


def started(seconds_ago: float, *, probe: bool = False) -> dict[str, Any]:
    at = (NOW - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "Z")
    container: dict[str, Any] = {"name": "main", **({"readinessProbe": {}} if probe else {})}
    status = {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {"startedAt": at}}}
    return {
        "metadata": {"name": "p", "uid": "u"},
        "spec": {"containers": [container]},
        "status": {"containerStatuses": [status]},
    }


def test_container_without_probe_must_run_for_a_while() -> None:
    state = unsettled(started(SETTLE_SECONDS - 1), NOW)
    assert state and (state.reason, state.container, state.restarts) == ("Started", "main", 2)
    assert unsettled(started(SETTLE_SECONDS), NOW) is None


def test_passed_probe_needs_no_settling() -> None:
    assert unsettled(started(0, probe=True), NOW) is None


def test_start_in_the_future_is_ignored() -> None:
    assert unsettled(started(-60), NOW) is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"terminated": {"exitCode": 7}}, "Ended"),
        ({"waiting": {"reason": "CrashLoopBackOff"}}, "CrashLoopBackOff"),
    ],
)
def test_container_that_ended_after_its_workload_was_read_is_not_ready(
    state: dict[str, Any], reason: str
) -> None:
    pod = started(0)
    pod["status"]["phase"] = "Running"
    pod["status"]["containerStatuses"][0]["state"] = state
    found = unsettled(pod, NOW)
    assert found and found.reason == reason


def test_pod_that_was_evicted_is_not_waited_for() -> None:
    pod = started(0)
    pod["status"] = {
        "phase": "Failed",
        "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 137}}}],
    }
    assert unsettled(pod, NOW) is None
