"""Every rendering against a golden file: lines, tree, errors, screens, envelopes; 80 columns each."""

from __future__ import annotations

import io
import json
import os
import pty
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.cachefile import Loaded
from mlops_platform.base.errors import (
    ConfigurationError,
    Exit,
    Interrupted,
    LockedError,
    PlatformError,
    Problem,
    StepError,
    UsageError,
)
from mlops_platform.base.humanize import age, duration
from mlops_platform.clusters.base import Check
from mlops_platform.clusters.leftovers import Leftover, RemoteEnvironment
from mlops_platform.console import Console, Output, screens
from mlops_platform.console import cache as cache_screens
from mlops_platform.console import dags as dag_screens
from mlops_platform.console import jobs as job_screens
from mlops_platform.console import models as model_screens
from mlops_platform.console import projects as project_screens
from mlops_platform.console.estimate import remaining
from mlops_platform.console.failure import FailureContext
from mlops_platform.console.plain import Plain
from mlops_platform.console.tree import Tree
from mlops_platform.engine.engine import RunResult
from mlops_platform.report.cost import Spent
from mlops_platform.report.jobs import Row as JobRow
from mlops_platform.report.models import Row as ModelRow
from mlops_platform.report.projects import Details
from mlops_platform.report.projects import Row as ProjectRow
from mlops_platform.report.status import Row
from mlops_platform.report.summary import Endpoint, SmokeResult, Summary
from mlops_platform.steps.projects.dags import Stored, Version

import tests
from tests.unit.console.recording import EXPECTED, replay

GOLDEN = tests.GOLDEN / "console"
Golden = Callable[[Path, str], None]

NOTHING = RunResult((), (), (), (), 0.0)
FAILED = StepError(
    "airflow: database migration failed (exit 1)",
    why="job airflow-migrate, pod airflow-migrate-x7k2p, attempt 2 of 2\n"
    "OperationalError: password authentication failed for user",
    hint="run `mlops-platform secrets sync airflow`, then the same command again",
    command="kubectl --kubeconfig /root/.local/state/mlops-platform/local/kubeconfig describe job a",
    evidence=Path("runs/2026-11-24T10-02-11Z/evidence/airflow"),
)
ERRORS: dict[str, tuple[PlatformError, FailureContext]] = {
    "step": (
        FAILED,
        FailureContext(
            Path("/state/local/runs/2026-11-24T10-02-11Z"),
            "airflow/migrate",
            ["minio/release: pod minio-0: ErrImagePull"],
            3,
            True,
        ),
    ),
    "configuration": (
        ConfigurationError(
            (
                Problem("environments/x.yaml", 4, "domain: missing", "add it"),
                Problem(
                    "environments/x.yaml",
                    9,
                    "components.minio.memory: not an amount of bytes, not '1 GB'",
                    "such as 512Mi or 10Gi",
                ),
                Problem("environments/x.yaml", 0, "not a mapping"),
            )
        ),
        FailureContext(),
    ),
    "usage": (UsageError("no environment named stagign", why="known: local"), FailureContext()),
    "locked": (
        LockedError(
            "local is locked by ann@host pid 4711: `mlops-platform up`, since 2026-11-24T10:02:11",
            hint="wait for it to end; nothing was changed",
            command="mlops-platform unlock --env local",
        ),
        FailureContext(),
    ),
    "interrupted": (
        Interrupted("interrupted", hint="run the same command again to continue"),
        FailureContext(Path("/state/local/runs/2026-11-24T10-02-11Z"), "image/mlflow", (), 7, False),
    ),
}


def narrow(text: str, *pasted: str) -> str:
    """Check the width; only lines that are to be pasted may be wider than a terminal."""
    for line in text.splitlines():
        assert len(line) <= 80 or any(p in line for p in pasted), line
    return text + "\n"


@pytest.mark.parametrize("verbose", [False, True])
def test_pipe_gets_one_line_per_event(golden: Golden, verbose: bool) -> None:
    lines: list[str] = []
    replay(Plain(lines.append, "local · host cluster", verbose=verbose))
    golden(GOLDEN / f"plain{'-verbose' * verbose}.txt", "\n".join(lines) + "\n")
    assert verbose or max(map(len, lines)) <= 80


def test_noop_run_prints_no_progress() -> None:
    from mlops_platform.engine.events import StepEvent

    lines: list[str] = []
    listener = Plain(lines.append, "header", verbose=False)
    listener.begin((("a/b", "c"),), {})
    listener.event(StepEvent("unchanged", "a/b", "c", 0.1))
    listener.end()
    assert lines == []


@pytest.mark.parametrize("moment", [0.2, 6.5, 20.0, 24.5, 62.0])
def test_tree_at_moments_of_a_run_matches_golden(golden: Golden, moment: float) -> None:
    tree = Tree(EXPECTED)
    replay(tree, until=moment)
    golden(GOLDEN / f"tree-{moment}.txt", narrow("\n".join(tree.lines(moment))))


def test_remaining_time_is_the_critical_path() -> None:
    edges: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a", "known"), "d": ("b", "c")}
    unfinished = {"a": 4.0, "b": 0.0, "c": 0.0, "d": 0.0}
    expected = {"a": 5.0, "b": 10.0, "c": 30.0, "known": 100.0}
    assert remaining(unfinished, edges, expected) == (("a", "c"), 31.0)
    assert remaining(unfinished, edges, {}) == ((), 0.0)
    assert remaining({"a": 50.0}, edges, expected) == ((), 0.0)


@pytest.mark.parametrize("name", ERRORS)
def test_error_block_matches_golden(golden: Golden, name: str) -> None:
    error, context = ERRORS[name]
    out, err = io.StringIO(), io.StringIO()
    console = Console("up", "local", out=out, err=err)
    console.ended(context, {})
    assert console.error(error) == error.exit_code
    assert out.getvalue() == ""
    golden(GOLDEN / f"error-{name}.txt", narrow(err.getvalue().rstrip("\n"), error.command or "-"))


@pytest.mark.parametrize("name", ERRORS)
def test_error_envelope_is_one_line(golden: Golden, name: str) -> None:
    error, context = ERRORS[name]
    out = io.StringIO()
    console = Console("up", "local", Output.JSON, out=out, err=io.StringIO())
    console.ended(context, {"changed": 2})
    console.error(error)
    assert out.getvalue().count("\n") == 1
    envelope: dict[str, Any] = json.loads(out.getvalue())
    envelope["version"] = "0"
    golden(GOLDEN / f"error-{name}.json", json.dumps(envelope, indent=1, ensure_ascii=False) + "\n")


def test_result_and_error_envelopes_have_the_same_keys() -> None:
    out = io.StringIO()
    console = Console("status", "local", Output.JSON, out=out, err=io.StringIO())
    assert console.done({"rows": []}, "never shown") == 0
    good = json.loads(out.getvalue())
    out.truncate(0)
    out.seek(0)
    console.error(FAILED)
    assert good.keys() == json.loads(out.getvalue()).keys()
    assert (good["schema"], good["outcome"], good["data"], good["error"]) == (1, "done", {"rows": []}, None)


def test_every_exit_code_has_an_outcome() -> None:
    from mlops_platform.console.failure import OUTCOMES

    assert set(OUTCOMES) == set(Exit)
    assert len(set(OUTCOMES.values())) == len(Exit)


WHEN = datetime.now(UTC) - timedelta(minutes=3, seconds=20)
ENDPOINTS = (
    Endpoint("mlflow", "mlops-platform open mlflow --env local", "none yet: only here"),
    Endpoint("kubectl", "export KUBECONFIG=$(mlops-platform kubeconfig --env local)", ""),
)
NEXT = tuple(f"mlops-platform {c} --env local" for c in ("open mlflow", "smoke", "down"))
SUMMARY = Summary("local", ENDPOINTS, SmokeResult(64, 0, 29, WHEN), NEXT)
PROJECT = ProjectRow(
    "churn",
    "ready",
    ["data-scientists:edit", "user/ann:view"],
    {"cpu": "4", "memory": "8Gi", "gpu": "0", "storage": "50Gi", "pods": "50"},
    {"cpu": "1500m", "memory": "3Gi", "gpu": "0", "storage": "0", "pods": "2"},
    "2026-11-21T12:00:00+00:00",
)
LEAVING = replace(PROJECT, name="fraud-detection", state="removing", members=[], used={})
DETAILS = Details(
    PROJECT,
    ["trainer", "server", "airflow"],
    ["mlflow:5000", "minio:9000"],
    {"mlflow": "runs, artifacts and models of its workspace", "minio": "data"},
    ["TrainJob fit", "InferenceService iris"],
)
THEN = datetime(2026, 11, 24, 12, tzinfo=UTC)
VERSION = Version({"daily.py": "", "weekly.py": "", "requirements.txt": "x"})
STORED = [
    Stored(
        "churn", "0f3a5c", "2026-11-24T11:00:00+00:00", {"churn.daily": "daily.py", "churn.weekly": "w.py"}
    ),
    Stored("fraud", "9bd21e", "2026-11-22T11:00:00+00:00", {"fraud.daily": "daily.py"}),
]
IRIS = ModelRow(
    "iris", "iris", "2", "ready", 1, 1, {"2": 1}, "", "2026-11-21T12:00:00+00:00",
    "https://models.mlops.localhost:8443/churn/iris", "http://iris-predictor.churn.svc",
)  # fmt: skip
NOT_FOUND = "model not found: iris version 99"
FAILING = replace(
    IRIS, name="flowers", version="99", state="failed", ready=0, serves={"2": 1}, reason=NOT_FOUND
)
UPDATING = replace(
    IRIS, name="fraud", model="Fraud detection", version="14", state="updating", ready=1, wanted=4,
    serves={"13": 4, "14": 1}, reason="fetching the model", address="",
    since="2026-11-24T11:00:00+00:00",
)  # fmt: skip
SHORT = "quota of queue default: insufficient unused quota for cpu in flavor default, 100m more needed"
JOBS = (
    JobRow("fit", "TrainJob", "running", 1, 2, "its containers start", "2026-11-24T11:57:00+00:00"),
    JobRow("wide", "TrainJob", "waiting", 0, 1, SHORT, "2026-11-24T11:00:00+00:00"),
    JobRow("fit-old", "TrainJob", "failed", 0, 1, "exit 1: ValueError: no column", "2026-11-23T12:00:00Z"),
    JobRow("report", "Job", "complete", 0, 1, "", "2026-11-20T12:00:00+00:00"),
)  # fmt: skip
CURL = model_screens.example(IRIS, "local", "/state/local/authority.crt")
SHOW_IRIS = "mlops-platform model show iris --project churn --env local"
CACHE_NAMES = {
    "programs": ["etcd-1a55f7579e66", "pause-d73d1cee6446"],
    "images": ["ml-33d02abe50d5"],
    "charts": [],
}
SCREENS: dict[str, str] = {
    "cache-export": cache_screens.exported("cache.tar", "5f" * 32, CACHE_NAMES, [], "local"),
    "cache-export-incomplete": cache_screens.exported(
        "cache.tar", "5f" * 32, CACHE_NAMES, ["mlflow-cd69ec83dd57", "helm-f7d65f4b5ae2"], "local"
    ),
    "cache-import": cache_screens.imported("/cache", Loaded(new=CACHE_NAMES, there={"images": ["python-1"]})),
    "cache-import-again": cache_screens.imported("/cache", Loaded(there=CACHE_NAMES)),
    "model-serve": model_screens.served(IRIS, "1", changed=True, seconds=9.1, example=CURL, next_=SHOW_IRIS),
    "model-serve-again": model_screens.served(
        replace(IRIS, address=""), "2", changed=False, seconds=0.9,
        example=model_screens.example(replace(IRIS, address=""), "local", ""), next_=SHOW_IRIS,
    ),
    "model-canary": model_screens.canary(
        IRIS, "3", 10, 14.2, lambda act: f"mlops-platform model {act} --project churn --env local"
    ),
    "model-promote": model_screens.canary(replace(IRIS, version="3"), "3", None, 21.4, str),
    "model-list": model_screens.list_((FAILING, UPDATING, IRIS), "churn", THEN),
    "model-list-none": model_screens.list_((), "churn"),
    "model-show": model_screens.show(replace(IRIS, canary={"v3": 10}), "churn", THEN),
    "model-show-failed": model_screens.show(FAILING, "churn", THEN),
    "model-stop": model_screens.stopped("iris", "churn", 6.2),
    "job-list": job_screens.list_(JOBS, "churn", THEN),
    "job-list-none": job_screens.list_((), "churn"),
    "job-stop": job_screens.stopped("TrainJob", "fit", "churn", 3.1),
    "project-add": project_screens.added(DETAILS, "4 CPU, 8 GiB", "local", 2.7),
    "project-list": project_screens.list_((PROJECT, LEAVING), THEN),
    "project-show": project_screens.show(DETAILS, "4 CPU, 8 GiB", THEN),
    "project-remove": project_screens.removal(DETAILS, keep_data=False, now=THEN),
    "project-remove-kept": project_screens.removal(DETAILS, keep_data=True, now=THEN),
    "project-removed": project_screens.removed("churn", 6.4, DETAILS.holds, keep_data=False),
    "project-removed-kept": project_screens.removed("churn", 6.4, DETAILS.holds, keep_data=True),
    "dag-push": dag_screens.pushed("churn", VERSION, ["churn.daily", "churn.weekly"]),
    "dag-list": dag_screens.list_(STORED, THEN),
    "dag-list-none": dag_screens.list_(()),
    "up": screens.up(SUMMARY, RunResult(("a/b",) * 23, ("c/d",) * 8, (), (), 48.2)),
    "up-again": screens.up(SUMMARY, RunResult((), ("a/b",) * 31, (), (), 1.1)),
    "up-unproven": screens.up(
        Summary("local", ENDPOINTS[1:], None, NEXT[2:]), RunResult(("a/b",), (), (), (), 7.0)
    ),
    "smoke": screens.smoke("local", SUMMARY.smoke, RunResult(("minio/smoke",), (), (), (), 12.0)),
    "down": screens.down(
        "local",
        RunResult(
            ("mlflow/uninstall", "minio/uninstall", "drain/volumes", "cluster/destroy"), (), (), (), 9.2
        ),
        21,
        (),
        kept=False,
        projects=("churn", "fraud"),
    ),
    "down-kept": screens.down("local", RunResult(("cluster/destroy",), (), (), (), 5.0), 12, (), kept=True),
    "down-retained": screens.down(
        "staging",
        RunResult(("cluster/destroy",), (), (), (), 552.0),
        214,
        (
            Leftover("ebs volume", "vol-0f3a", "50 GiB gp3 eu-central-1a, 3d old, pvc airflow/logs"),
            Leftover("key", "00ea3abc", "secrets", keep="AWS deletes it on 2026-12-01"),
            Leftover("state bucket", "mlops-platform-1-eu-central-1-staging", keep="goes last"),
        ),
        kept=False,
        spent=Spent(5.214, 3.2, "2026-11-24"),
    ),
    "environments": screens.environments(
        (
            RemoteEnvironment(
                "ephemeral", "900000000001", "eu-central-1", 45, "alice",
                "2026-11-24T06:00:00+00:00", "2026-11-24T10:00:00+00:00", "file", 1.5,
            ),
            RemoteEnvironment(
                "pr-812", "900000000001", "eu-central-1", 45, "ci",
                "2026-11-24T11:00:00+00:00", "2026-11-24T15:00:00+00:00", "file", 1.5,
            ),
            RemoteEnvironment(
                "prod", "900000000001", "eu-central-1", 214, "bob",
                "2026-11-21T12:00:00+00:00", "", "file", 3.1,
            ),
            RemoteEnvironment("stray", "900000000001", "eu-central-1", 2),
        ),
        datetime(2026, 11, 24, 12, tzinfo=UTC),
    ),
    "status": screens.status(
        "local",
        (
            Row("data", "postgres", "17.6", "1/1", "✔ 12m ago", "-", "3d"),
            Row("data", "minio", "2025.10.15", "0/1", "✘ 5m ago", "values", "2h", "pod minio-0: Pending"),
            Row("tracking", "mlflow", "3.18.0", "unavailable", "-", "-", "-", "the API does not answer"),
            Row("gpu", "device-plugin", "0.20.0", "empty", "-", "-", "3d", "no GPU node now"),
        ),
        ("churn", "fraud"),
    ),
    "check": screens.check(
        (
            Check("root", "ok", "uid 0"),
            Check("memory", "ok", "23 GB free"),
            Check("swap", "warning", "on", "the kubelet counts memory without it", "swapoff -a"),
            Check("disk", "failure", "3.1 GB free", "12 GB needed below /root", "mlops-platform cache prune"),
            Check("region", "skipped", "not asked"),
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCREENS)
def test_screen_matches_golden(golden: Golden, name: str) -> None:
    golden(GOLDEN / f"screen-{name}.txt", narrow(SCREENS[name], "curl ", "model serve iris", "cache import"))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (48.2, "48s"), (59.7, "1m00s"), (112, "1m52s"), (11520, "3h12m")],
)
def test_duration_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "now"), (-5, "now"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")]
)
def test_age_is_short(seconds: float, text: str) -> None:
    now = datetime(2026, 1, 10, tzinfo=UTC)
    assert age(now - timedelta(seconds=seconds), now) == text


def test_secrets_are_redacted_in_all_output() -> None:
    out, err = io.StringIO(), io.StringIO()
    for output in Output:
        console = Console("up", "local", output, out=out, err=err)
        console.redact = lambda text: text.replace("hunter22", "[redacted]")
        console.say("hunter22")
        console.done({"log": "hunter22"}, "hunter22")
        console.error(StepError("hunter22", why="hunter22"))
    assert "hunter22" not in out.getvalue() + err.getvalue()
    assert "[redacted]" in out.getvalue() and "[redacted]" in err.getvalue()


class _Gone(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_closed_stderr_does_not_end_the_run() -> None:
    out = io.StringIO()
    console = Console("up", "local", out=out, err=_Gone())
    console.say("one")
    console.say("two")
    console.text("data")
    assert out.getvalue() == "data\n"


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, **env: str) -> Iterator[tuple[Console, Callable[[], str]]]:
    """A console on a real pseudo-terminal, and a function that returns its output."""
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "80", **env}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:

        def seen() -> str:
            """Read up to our own mark, because one read may return only a part."""
            screen.write("\0")
            screen.flush()
            found = b""
            while not found.endswith(b"\0"):
                found += os.read(ours, 1 << 16)
            return found[:-1].decode()

        yield Console("up", "local", out=screen, err=screen), seen
    os.close(ours)


def test_terminal_shows_the_tree_and_restores_the_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, seen):
        replay(console.listener("local · host cluster", EXPECTED))
        console.say("after")
        text = seen()
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert text.index("\x1b[?25l") < text.index("\x1b[?25h")
    assert "9 of 12 steps done" in last and "minio release" in last
    assert "! cluster/terraform: a killed run's state was recovered" in last
    assert last.rstrip().endswith("after")


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}])
def test_ci_and_dumb_terminals_get_lines(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    with terminal(monkeypatch, **env) as (console, _):
        assert isinstance(console.listener("header", {}), Plain)


def test_no_color_is_honored(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as (console, seen):
        console.text("✔ good")
        assert "\x1b[32m" in seen()
    with terminal(monkeypatch, NO_COLOR="1") as (console, seen):
        console.text("✔ good")
        replay(console.listener("local", {}))
        assert not re.search(r"\x1b\[[0-9;]*3\d[0-9;]*m", seen())
