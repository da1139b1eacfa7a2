"""The journal: one folder per run with JSON lines, appended, and synced before the run continues."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_platform.adapters.process import ProcessId

SCHEMA = 1
KEEP_RUNS = 50
_SYNCED = {"run_started", "step_done", "step_failed", "step_note", "run_finished"}


class Redactor:
    """Replaces secret values in text that is written or shown."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()

    def add(self, *values: str) -> None:
        """Add secret values; short ones are never secrets, and would match ordinary words."""
        self._values = tuple({*self._values, *(v for v in values if len(v) >= 8)})

    def clean(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, "[redacted]")
        return text


class Journal:
    """The writer of one run, thread-safe; a kill truncates at most the last line, which readers skip."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self.folder = folder
        self._redactor = redactor
        self._lock = threading.Lock()
        self._file: int | None = None
        self._started = time.monotonic()
        self.broken: OSError | None = None

    @classmethod
    def start(cls, state: Path, command: str, environment: str, version: str, redactor: Redactor) -> Journal:
        """Create a run folder, named by the time; remove older runs beyond KEEP_RUNS."""
        runs = state / "runs"
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        folder, extra = runs / stamp, 0
        while folder.exists():
            extra += 1
            folder = runs / f"{stamp}.{extra:02}"
        folder.mkdir(parents=True, mode=0o700)
        for old in sorted(p for p in runs.iterdir() if p.is_dir())[:-KEEP_RUNS]:
            shutil.rmtree(old)
        journal = cls(folder, redactor)
        me = ProcessId.of(os.getpid())
        journal.write(
            "run_started",
            schema=SCHEMA,
            command=command,
            environment=environment,
            version=version,
            host=socket.gethostname(),
            pid=os.getpid(),
            start_ticks=me.start_ticks if me else 0,
        )
        return journal

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; the important ones are on the disk when this returns.

        Never raises: a full disk must not abort a running step. The error is kept in `broken`, and the engine
        starts no further step.
        """
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "elapsed": round(time.monotonic() - self._started, 3),
            "event": event,
            **fields,
        }
        data = self._redactor.clean(json.dumps(line, ensure_ascii=False)) + "\n"
        with self._lock:
            try:
                self._append(data.encode(), sync=event in _SYNCED)
            except OSError as error:
                self.broken = error

    def _append(self, data: bytes, *, sync: bool) -> None:
        if self._file is None:
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
            self._file = os.open(self.folder / "journal.jsonl", flags, 0o600)
        if os.write(self._file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fdatasync(self._file)


@dataclass(frozen=True)
class RunRecord:
    """A run, as read from its journal."""

    folder: Path
    events: tuple[dict[str, Any], ...]

    @property
    def started(self) -> dict[str, Any]:
        return self.events[0] if self.events else {}

    @property
    def finished(self) -> dict[str, Any] | None:
        return next((e for e in reversed(self.events) if e["event"] == "run_finished"), None)

    @property
    def dead(self) -> bool:
        """Return whether it started on this host and never finished, and its process is gone."""
        if self.finished or self.started.get("host") != socket.gethostname():
            return False
        return not ProcessId(self.started.get("pid", 0), self.started.get("start_ticks", 0)).alive

    @property
    def unfinished_steps(self) -> tuple[str, ...]:
        """Steps that started and have no end in the journal."""
        ended = {e.get("step") for e in self.events if e["event"] in ("step_done", "step_failed")}
        started = [e["step"] for e in self.events if e["event"] == "step_started"]
        return tuple(step for step in started if step not in ended)

    @property
    def durations(self) -> dict[str, float]:
        """Seconds of each step that ran."""
        return {e["step"]: e["seconds"] for e in self.events if e["event"] == "step_done"}


def runs(state: Path, newest: int = KEEP_RUNS) -> Iterator[RunRecord]:
    """Runs of an environment, newest first."""
    folder = state / "runs"
    found = sorted((p for p in folder.iterdir() if p.is_dir()), reverse=True) if folder.is_dir() else []
    for path in found[:newest]:
        yield RunRecord(path, tuple(_events(path / "journal.jsonl")))


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    for number, line in enumerate(lines):
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            if number != len(lines) - 1:  # a kill can truncate only the last line
                raise


def expected_seconds(records: Sequence[RunRecord]) -> dict[str, float]:
    """Seconds that each step took the last time it ran."""
    known: dict[str, float] = {}
    for record in reversed(records):
        known.update(record.durations)
    return known
