"""Pods of jobs: their job, and the containers whose logs are complete."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.helm_values.job_logs.conftest import load

pods = load("pods")
RUNNING: dict[str, Any] = {"running": {"startedAt": "2026-11-29T17:00:00Z"}}
FAILED: dict[str, Any] = {"terminated": {"exitCode": 3, "reason": "Error", "containerID": "x"}}
WAITING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}


def pod(phase: str, state: dict[str, Any], restart: str = "Never", **labels: str) -> Any:
    labels = labels or {"batch.kubernetes.io/job-name": "fit"}
    body = {
        "metadata": {"name": "fit-abcde", "labels": labels},
        "spec": {"restartPolicy": restart},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }
    return pods.pod_of("churn", body)


def test_pod_of_a_trainjob_belongs_to_the_trainjob() -> None:
    labels = {"jobset.sigs.k8s.io/jobset-name": "train", "batch.kubernetes.io/job-name": "train-node-0"}
    assert pod("Running", RUNNING, **labels).job == "train"
    assert pod("Running", RUNNING).job == "fit"
    assert pod("Running", RUNNING, app="web") is None


@pytest.mark.parametrize(
    ("phase", "state", "restart", "started", "ended"),
    [
        ("Pending", WAITING, "Never", False, False),
        ("Pending", {}, "Never", False, False),
        ("Running", RUNNING, "Never", True, False),
        ("Running", FAILED, "Never", True, True),
        ("Running", FAILED, "OnFailure", True, False),
        ("Failed", FAILED, "OnFailure", True, True),
    ],
)
def test_container_has_ended_if_it_will_not_start_again(
    phase: str, state: dict[str, Any], restart: str, started: bool, ended: bool
) -> None:
    found = pod(phase, state, restart)
    assert (list(found.states()) == ["main"], found.ended("main")) == (started, ended)


def test_pod_that_is_gone_has_ended() -> None:
    found = pod("Running", RUNNING)
    found.gone = True
    assert found.ended("main")


def test_end_has_the_exit_code_and_the_reason() -> None:
    assert pod("Failed", FAILED).end("main") == {"exitCode": 3, "reason": "Error"}
    assert pod("Running", RUNNING).end("main") == {}
