"""States of jobs; most case files were recorded on a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube.batch import Found, Work, pods_of, work
from mlops_platform.adapters.kube.troubles import quota_words

import tests

FOLDER = tests.CASES / "jobs"
CASES = sorted(FOLDER.glob("*.yaml"))


def load(name: str) -> dict[str, Any]:
    case: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return case


def look(case: dict[str, Any]) -> Work:
    return work(case["job"], Found([case["job"]], case["pods"], case["queued"], case["events"]))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_state_of_a_job_is_as_in_the_case(file: Path) -> None:
    case = load(file.stem)
    found = look(case)
    assert {key: getattr(found, key) for key in ("state", "active", "wanted", "reason")} == case["expected"]


def test_cases_are_found() -> None:
    assert len(CASES) >= 7


def test_deleted_job_is_stopping() -> None:
    case = load("running")
    case["job"]["metadata"]["deletionTimestamp"] = "2026-11-29T18:00:00Z"
    assert look(case).state == "stopping"


def test_failed_job_without_pods_has_the_message_of_its_condition() -> None:
    case = load("failed")
    (failed,) = [c for c in case["job"]["status"]["conditions"] if c["type"] == "Failed"]
    assert look({**case, "pods": []}).reason == failed["message"]


def test_job_over_its_deadline_says_so() -> None:
    case = load("failed")
    (failed,) = [c for c in case["job"]["status"]["conditions"] if c["type"] == "Failed"]
    failed.update(reason="DeadlineExceeded", message="the job ran longer than 60 s")
    assert look(case).reason == "the job ran longer than 60 s"


def test_pods_of_a_job_with_a_longer_name_are_not_its_own() -> None:
    case = load("running")
    case["job"]["metadata"]["name"] = "pai"
    assert pods_of(case["job"], case["pods"]) == []
    quota = load("over-quota")
    quota["job"]["metadata"]["name"] = "hug"
    assert look(quota).reason == "its pods are not made yet"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "exceeded quota: project, requested: limits.memory=2Gi,requests.cpu=1, used: "
            "limits.memory=7Gi,requests.cpu=100m, limited: limits.memory=8Gi,requests.cpu=4",
            "not enough quota: limits.memory: 2Gi more, 7Gi of 8Gi used, "
            "requests.cpu: 1 more, 100m of 4 used",
        ),
        ("violates PodSecurity", "violates PodSecurity"),
    ],
)
def test_message_about_the_quota_is_shorter(message: str, words: str) -> None:
    assert quota_words(message) == words
