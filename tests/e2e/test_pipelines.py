"""Pipelines of a project through the command line: run, refused, failed, left alone, stopped."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.wait import Pending, wait_until

from tests import ROOT
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

PROJECT = "lines"
CASES = ROOT / "tests/cases/pipelines"


@pytest.fixture(scope="module")
def project(platform: Platform) -> Iterator[str]:
    platform.ok("project", "add", PROJECT, "--quota", "cpu=4,memory=8Gi")
    yield PROJECT
    platform.ok("project", "remove", PROJECT, "--yes", "--force")


def run(platform: Platform, case: str | Path, *more: str) -> tuple[int, dict[str, Any], str]:
    """The exit code, the data of the envelope, and what the screen says."""
    file = case if isinstance(case, Path) else CASES / f"{case}.yaml"
    done = platform.run("pipeline", "run", str(file), "--project", PROJECT, *more, "--output", "json")
    return done.code, done.envelope["data"], done.err


def test_pipeline_runs_and_is_recorded(platform: Platform, project: str) -> None:
    code, data, screen = run(platform, "churn-training", "--arg", "rates=[0.1, 0.3]", "--arg", "rows=20")
    assert code == 0, screen
    states = {each["name"]: each["state"] for each in data["steps"]}
    assert states.pop("reject") == "skipped"
    assert states == dict.fromkeys(("prepare", "train.0", "train.1", "best", "publish"), "succeeded")
    assert data["runner"] == "local" and "local runner of KFP" in screen
    assert "step train.1: succeeded" in screen
    assert data["address"].endswith(f"/experiments/{data['experiment']}/runs/{data['run']}?workspace=lines")

    def listed() -> bool | Pending:
        """Kubernetes counts the pod of a Job some moments after its end."""
        jobs = platform.ok("job", "list", "--project", PROJECT, "--output", "json").envelope["data"]["jobs"]
        states = {each["name"]: each["state"] for each in jobs}
        return states.get(data["job"]) == "complete" or Pending(str(states))

    wait_until("its Job is complete", listed, seconds=60, longest_delay=1)
    assert "step publish: succeeded" in platform.ok("job", "logs", data["job"], "--project", PROJECT).out
    again = run(platform, "churn-training", "--arg", "rates=[0.1]")[1]
    assert again["run"] != data["run"] and again["experiment"] == data["experiment"]


def test_failed_step_and_its_reason_are_on_the_screen(platform: Platform, project: str) -> None:
    code, data, screen = run(platform, "failing", "--arg", "file=/tmp/there")
    assert code == 5 and data["state"] == "failed"
    assert "pipeline failing failed in step fail" in screen
    assert "ValueError: 3 rows:" in screen and "too few" in screen
    assert f"mlops-platform job logs {data['job']} --project {PROJECT}" in screen
    assert "step fail: ValueError: 3 rows: too few" in " ".join(
        platform.ok("job", "list", "--project", PROJECT).out.split()
    )


def test_refused_pipeline_starts_nothing(platform: Platform, project: str) -> None:
    before = platform.ok("job", "list", "--project", PROJECT, "--output", "json").envelope["data"]
    code, _, screen = run(platform, "unsupported", "--arg", "n=1")
    assert code == 3 and "container component" in screen and "--arg flag: missing" in screen
    assert platform.ok("job", "list", "--project", PROJECT, "--output", "json").envelope["data"] == before


def test_step_with_more_memory_than_the_limit_is_named(
    platform: Platform, project: str, tmp_path: Path
) -> None:
    text = (CASES / "fail.yaml").read_text().replace('print(\\"reading\\")', "x = bytearray(2**30)")
    assert "bytearray" in text
    (tmp_path / "large.yaml").write_text(text)
    code, _, screen = run(platform, tmp_path / "large.yaml", "--arg", "rows=1", "--memory", "512Mi")
    assert code == 5 and "memory" in screen and "--memory" in screen


def test_interrupted_command_leaves_the_job_which_another_command_stops(
    platform: Platform, project: str, tmp_path: Path
) -> None:
    text = (CASES / "fail.yaml").read_text().replace('print(\\"reading\\")', "import time; time.sleep(600)")
    (tmp_path / "slow.yaml").write_text(text)
    process = platform.start(
        "pipeline", "run", str(tmp_path / "slow.yaml"), "--project", PROJECT, "-a", "rows=1"
    )
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "step fail: running" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=30)[1]
    assert process.returncode == 130, (lines, rest)
    assert "the Job goes on" in rest
    stop = next(line for line in rest.splitlines() if "job stop" in line).partition("mlops-platform ")[2]
    name = stop.split()[2]
    kube = Kube(platform.state / "kubeconfig")
    assert kube.get("batch/v1", "Job", name, PROJECT)
    platform.ok(*stop.split())
    assert not kube.get("batch/v1", "Job", name, PROJECT)

    def collected() -> bool | Pending:
        return kube.get("v1", "ConfigMap", name, PROJECT) is None or Pending("its ConfigMap is left")

    wait_until("end of the ConfigMap", collected, seconds=60)
