"""The journal: durable lines, redacted secrets, a skipped incomplete last line, dead runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlops_platform.engine.journal import KEEP_RUNS, Journal, Redactor, expected_seconds, runs

DIES = """
import os, signal, sys
from pathlib import Path
from mlops_platform.engine.journal import Journal, Redactor
journal = Journal.start(Path(sys.argv[1]), "up", "test", "0", Redactor())
journal.write("step_started", step="a")
journal.write("step_done", step="a", seconds=1.5)
journal.write("step_started", step="b")
os.kill(os.getpid(), signal.SIGKILL)
"""


def start(state: Path, redactor: Redactor | None = None) -> Journal:
    return Journal.start(state, "up", "test", "0", redactor or Redactor())


def test_killed_run_is_dead_and_names_its_step(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    assert done.returncode == -9
    record = next(runs(tmp_path))
    assert record.dead
    assert record.unfinished_steps == ("b",)
    assert record.durations == {"a": 1.5}


def test_running_and_finished_runs_are_not_dead(tmp_path: Path) -> None:
    journal = start(tmp_path)
    assert not next(runs(tmp_path)).dead
    journal.write("run_finished", outcome="done")
    record = next(runs(tmp_path))
    assert not record.dead and record.finished


def test_secrets_are_redacted_and_short_words_are_not(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.add("hunter2-hunter2", "short")
    start(tmp_path, redactor).write("step_note", text="password hunter2-hunter2, short")
    text = next((tmp_path / "runs").glob("*/journal.jsonl")).read_text()
    assert "hunter2" not in text and "[redacted], short" in text


def test_incomplete_last_line_is_skipped_and_a_broken_other_line_is_an_error(tmp_path: Path) -> None:
    journal = start(tmp_path)
    file = journal.folder / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"event": "step_do')
    assert [e["event"] for e in next(runs(tmp_path)).events] == ["run_started"]
    file.write_bytes(b'{"event": "step_do\n' + whole)
    with pytest.raises(json.JSONDecodeError):
        next(runs(tmp_path))


def test_runs_of_one_second_keep_their_order_and_oldest_are_removed(tmp_path: Path) -> None:
    for day in range(1, KEEP_RUNS + 1):
        (tmp_path / "runs" / f"2025-{day // 28 + 1:02}-{day % 28 + 1:02}T00-00-00Z").mkdir(parents=True)
    journals = [start(tmp_path) for _ in range(12)]
    assert len(list((tmp_path / "runs").iterdir())) == KEEP_RUNS
    newest = [record.folder for record in runs(tmp_path, newest=12)]
    assert newest == [journal.folder for journal in reversed(journals)]


def test_expected_time_of_a_step_is_its_newest(tmp_path: Path) -> None:
    for seconds in (9.0, 4.0):
        start(tmp_path).write("step_done", step="a", seconds=seconds)
    assert expected_seconds(list(runs(tmp_path))) == {"a": 4.0}


def test_journal_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    journal = start(tmp_path)
    assert journal.folder.stat().st_mode & 0o077 == 0
    assert (journal.folder / "journal.jsonl").stat().st_mode & 0o077 == 0
