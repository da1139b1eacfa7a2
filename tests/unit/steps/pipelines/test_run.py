"""A run of a pipeline: the name of its Job, the progress that people see, and the error of a failed one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mlops_platform.console import pipelines as screens
from mlops_platform.steps.pipelines import run
from mlops_platform.steps.pipelines.run import Ended

STEPS = [
    {"name": "prepare", "state": "succeeded", "seconds": 1.2, "attempts": 1},
    {"name": "train.0", "state": "failed", "seconds": 61.0, "attempts": 2, "reason": "ValueError: 3 rows"},
    {"name": "train.1", "state": "failed", "seconds": 0.1, "attempts": 1, "reason": "ValueError: 4 rows"},
    {"name": "publish", "state": "skipped", "seconds": 0.0, "attempts": 0},
]
ADDRESS = "https://tracking.mlops.localhost/run"


@pytest.mark.parametrize(
    ("pipeline", "start"),
    [
        ("churn-training", "churn-training-"),
        ("Churn: Training_2", "churn-training-2-"),
        ("2nd", "pipeline-2nd-"),
        ("ä", "pipeline-"),
        ("a" * 200, "a" * 40 + "-"),
    ],
)
def test_job_has_the_name_of_the_pipeline_as_a_dns_label(pipeline: str, start: str) -> None:
    first, second = run._job_name(pipeline), run._job_name(pipeline)
    assert first != second
    assert re.fullmatch(f"{start}[0-9a-f]{{6}}", first)
    assert len(first) <= 52, "pods of a Job add 6 characters, and a label has 63"


def test_progress_shows_each_change_of_a_step_once_and_no_line_of_a_step() -> None:
    shown: list[str] = []
    progress = run._Progress(shown.append)
    for text in (
        "no pod yet",
        "script: ContainerCreating",
        "run 1 abc",
        "run 1 abc\nstep prepare: running\nprepare | step forged: succeeded after 1.0 s",
        "step prepare: running\nprepare | x\nstep prepare: succeeded after 1.2 s\nRESULT {}",
    ):
        progress.say(text)
    assert shown == [
        "no pod yet",
        "script: ContainerCreating",
        "step prepare: running",
        "step prepare: succeeded after 1.2 s",
    ]


@pytest.mark.parametrize(
    ("result", "what", "why"),
    [
        (
            {"reason": "step train.0: ValueError: 3 rows:\ntoo few", "steps": STEPS},
            "pipeline churn failed in step train.0, and in train.1",
            "ValueError: 3 rows:\ntoo few",
        ),
        ({"reason": "the runner ended", "steps": []}, "pipeline churn failed", "the runner ended"),
        ({"steps": ["?", {}]}, "pipeline churn failed", "no reason was given"),
    ],
)
def test_failure_names_the_step_the_reason_and_the_command_for_its_log(
    result: dict[str, Any], what: str, why: str
) -> None:
    error = run.failure(Ended("churn-1", result, ADDRESS), "churn", "team", "local")
    assert (error.what, error.why) == (what, why)
    assert error.command == "mlops-platform job logs churn-1 --project team --env local"


def test_screen_lists_states_and_the_address() -> None:
    assert screens.ended(STEPS, ADDRESS).splitlines() == [
        "  step     state      time",
        "  prepare  succeeded  1.2s",
        "  train.0  failed     1m01s  2 attempts",
        "  train.1  failed     0.1s",
        "  publish  skipped    -",
        f"  run  {ADDRESS}",
    ]
    assert screens.succeeded("churn", "local runner of KFP 2", STEPS[:1], "", 3.04).startswith(
        "churn succeeded: 1 step · local runner of KFP 2 · 3.0s\n"
    )
