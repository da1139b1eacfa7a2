"""Reads processes that may end or fork at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until

_VANISHED = (FileNotFoundError, ProcessLookupError)


def read(pid: int, what: str) -> bytes:
    """Contents of a file of /proc/PID; empty if the process has ended."""
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
    """Wait until none of the processes is alive."""

    def gone() -> bool | Pending:
        left = [each.pid for each in processes if each.alive]
        return not left or Pending(f"still there: {left}")

    wait_until("end of the processes", gone, seconds=seconds, first_delay=0.01)
