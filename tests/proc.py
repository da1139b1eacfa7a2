"""Owns looking at processes that may end, and fork, while one looks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until

_VANISHED = (FileNotFoundError, ProcessLookupError)


def read(pid: int, what: str) -> bytes:
    """A file of /proc/PID; empty of a process that has ended since it was listed."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except _VANISHED:
        return b""


def argv(pid: int) -> list[bytes]:
    return read(pid, "cmdline").split(b"\0")


def children(pid: int) -> list[ProcessId]:
    """Those of all its threads."""
    try:
        threads = [entry.name for entry in Path(f"/proc/{pid}/task").iterdir()]
    except _VANISHED:
        return []
    pids = {int(child) for thread in threads for child in read(pid, f"task/{thread}/children").split()}
    return [found for child in sorted(pids) if (found := ProcessId.of(child))]


def descendants(pid: int) -> list[ProcessId]:
    return [each for child in children(pid) for each in (child, *descendants(child.pid))]


def wait_gone(processes: Iterable[ProcessId], *, seconds: float = 30) -> None:
    """Until none of them lives."""

    def gone() -> bool | Pending:
        left = [each.pid for each in processes if each.alive]
        return not left or Pending(f"still there: {left}")

    wait_until("their end", gone, seconds=seconds, first_delay=0.01)
