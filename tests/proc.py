"""Owns looking at processes that may end, and fork, while one looks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil
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


def children(pid: int, *, recursive: bool = False) -> list[ProcessId]:
    try:
        found = psutil.Process(pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []
    return [identity for child in found if (identity := ProcessId.of(child.pid))]


def wait_gone(processes: Iterable[ProcessId], *, seconds: float = 30) -> None:
    """Until none of them lives."""

    def gone() -> bool | Pending:
        left = [each.pid for each in processes if each.alive]
        return not left or Pending(f"still there: {left}")

    wait_until("their end", gone, seconds=seconds, first_delay=0.01)
