"""A run's end: one signal and two, kills, bugs, the lock, and the record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import Exit

from tests import ROOT


@contextmanager
def process(home: Path, manners: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose first step has started."""
    home.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.commands.running", str(home), manners],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        try:
            wait_until("its step", lambda: _started(home, started), seconds=20)
            yield started
        finally:
            if started.poll() is None:
                started.kill()


def _started(home: Path, started: subprocess.Popen[str]) -> bool | Pending:
    if started.poll() is not None or any(e["event"] == "step_note" for e in journal(home)):
        return True
    return Pending("not started")


def journal(home: Path) -> list[dict[str, Any]]:
    """The newest run's events; the last line may be incomplete."""
    folders = sorted((home / "signals/runs").glob("*/journal.jsonl"))
    lines = folders[-1].read_text().splitlines(keepends=True) if folders else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def ended(started: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
    out, err = started.communicate(timeout=20)
    return started.returncode, json.loads(out) if out else {}, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_ends_run_cleanly(tmp_path: Path, number: int) -> None:
    with process(tmp_path / "home", "polite") as started:
        started.send_signal(number)
        code, envelope, err = ended(started)
    assert (code, envelope["outcome"]) == (130, "interrupted")
    assert "interrupt again to stop at once" in err
    last = journal(tmp_path / "home")[-1]
    assert (last["event"], last["outcome"], last["exit_code"]) == ("run_finished", "interrupted", 130)
    assert (last["skipped"], last["failed"]) == (1, 1)


def test_interrupted_run_finishes_step_and_starts_no_other(tmp_path: Path) -> None:
    with process(tmp_path / "home", "finishes") as started:
        started.send_signal(signal.SIGSTOP)
        os.waitpid(started.pid, os.WUNTRACED)
        started.send_signal(signal.SIGINT)
        started.send_signal(signal.SIGTERM)  # as `timeout` does; one request
        started.send_signal(signal.SIGCONT)
        code, envelope, err = ended(started)
    assert "stopping now" not in err
    events = [(e["event"], e.get("step")) for e in journal(tmp_path / "home")]
    assert ("step_done", "test/wait") in events
    assert ("step_started", "test/next") not in events
    assert code == 130 and envelope["outcome"] == "interrupted"


def test_second_signal_stops_busy_step(tmp_path: Path) -> None:
    with process(tmp_path / "home", "busy") as started:
        started.send_signal(signal.SIGINT)
        assert started.stderr
        line = started.stderr.readline()
        while "interrupt again" not in line:
            line = started.stderr.readline()
        assert started.poll() is None
        started.send_signal(signal.SIGINT)
        code, _, err = ended(started)
    assert code == 130
    assert "stopping now" in err
    assert journal(tmp_path / "home")[-1]["exit_code"] == 130


def test_process_exits_despite_stubborn_step(tmp_path: Path) -> None:
    with process(tmp_path / "home", "deaf") as started:
        started.send_signal(signal.SIGINT)
        assert started.stderr
        while "interrupt again" not in started.stderr.readline():
            pass
        started.send_signal(signal.SIGINT)
        code, envelope, _ = ended(started)
    assert (code, envelope) == (130, {})


def test_failure_has_all_fields_and_is_recorded(tmp_path: Path) -> None:
    with process(tmp_path / "home", "fails") as started:
        code, envelope, err = ended(started)
    assert (code, envelope["outcome"], envelope["error"]["step"]) == (5, "failed", "test/wait")
    assert envelope["data"]["skipped"] == 1
    assert [k for k in ("why", "hint", "command", "journal") if f"  {k} " not in err] == []
    assert journal(tmp_path / "home")[-1]["outcome"] == "failed"


def test_bug_exits_with_1_and_journal_has_traceback(tmp_path: Path) -> None:
    with process(tmp_path / "home", "bug") as started:
        code, envelope, err = ended(started)
    assert (code, envelope["outcome"]) == (Exit.BUG, "bug")
    assert "a mistake of ours" in err and "Traceback" not in err and "-v" in err
    assert any("a mistake of ours" in e.get("trace", "") for e in journal(tmp_path / "home"))
    assert str(tmp_path) in err, "the path of the journal"


def test_run_reports_earlier_killed_run(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with process(home, "polite") as first:
        dead = next((home / "signals/runs").iterdir()).name
        first.kill()
        first.wait()
    with process(home, "fails") as second:
        _, _, err = ended(second)
    assert f"! run {dead} died in test/wait" in err
    assert any(e["event"] == "run_note" and dead in e["text"] for e in journal(home))


def test_second_run_is_rejected_with_name_of_holder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with process(home, "polite") as first:
        before = len(list((home / "signals/runs").iterdir()))
        with process(home, "polite") as second:
            code, envelope, err = ended(second)
        assert first.poll() is None
    assert (code, envelope["outcome"]) == (8, "locked")
    assert f"pid {first.pid}" in err and "since" in err
    assert len(list((home / "signals/runs").iterdir())) == before, "a rejected run leaves no record"


def test_closed_terminal_output_does_not_end_run(tmp_path: Path) -> None:
    with process(tmp_path / "home", "polite") as started:
        assert started.stderr
        started.stderr.close()
        os.kill(started.pid, signal.SIGINT)
        assert started.stdout
        envelope = json.loads(started.stdout.read())
        assert started.wait(20) == 130
    assert envelope["outcome"] == "interrupted"
