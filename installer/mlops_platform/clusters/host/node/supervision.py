"""The supervision of a node: the lock that its supervisor holds, and the ids of its processes."""

from __future__ import annotations

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.files import write_private
from mlops_platform.clusters.host.layout import Place

_CHANGE_SECONDS = 180
# struct flock: type, whence, start, length, pid (0: a lock of the open file, not of a process). Fork and
# exec inherit such a lock, and it can be tested without taking it, which flock(2) cannot do.
_LOCK = "hhqqi4x"


@dataclass(frozen=True)
class Running:
    """The supervisor, the node's PID 1 as the host sees it, and their start time (epoch seconds)."""

    supervisor: ProcessId
    init: ProcessId
    started: float


@dataclass(frozen=True)
class DaemonState:
    """The number of starts of one program, and its last end ('' while the first process runs)."""

    starts: int
    ended: str


class Supervision:
    """Files and locks of a supervisor. A process id can be reused; a lock is free only after its holders."""

    def __init__(self, node: Place) -> None:
        self._folder = node.folder
        self._lock = node.folder / "supervisor.lock"
        self._change = node.folder / "change.lock"
        self._running = node.folder / "running.json"
        self._daemons = node.folder / "daemons.json"

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Allow one start or stop at a time; a second one waits for the first. Raises WaitTimedOut."""
        descriptor = os.open(self._change, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            wait_until(
                "another start or stop of this node ended",
                lambda: True if _try_lock(descriptor) else Pending("it still runs"),
                seconds=_CHANGE_SECONDS,
            )
            yield
        finally:
            os.close(descriptor)

    def alive(self) -> bool:
        """Return whether a supervisor or its PID 1 holds the lock. The test never blocks a start."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _lock_of_all(fcntl.F_WRLCK))
            return bool(struct.unpack(_LOCK, answer)[0] != fcntl.F_UNLCK)
        finally:
            os.close(descriptor)

    def take(self) -> int | None:
        """Take the lock as a descriptor for the supervisor to inherit; None if another one holds it."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _lock_of_all(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError):  # fcntl(2) allows either
            os.close(descriptor)
            return None
        return descriptor

    def record(self, running: Running) -> None:
        ids = {"supervisor": running.supervisor, "init": running.init}
        data = {name: [each.pid, each.start_ticks] for name, each in ids.items()}
        write_private(self._running, json.dumps({**data, "started": running.started}))

    def running(self) -> Running | None:
        """Return the processes of the running node; None if it does not run or is only starting."""
        if not self.alive() or not self._running.exists():
            return None
        data = json.loads(self._running.read_text())
        running = Running(ProcessId(*data["supervisor"]), ProcessId(*data["init"]), data["started"])
        return running if running.init.alive else None

    def record_daemons(self, states: dict[str, DaemonState], folder: Path | None = None) -> None:
        """Write the states; PID 1 passes `folder`, because it sees the state folder at another path."""
        file = (folder or self._folder) / self._daemons.name
        write_private(file, json.dumps({name: [s.starts, s.ended] for name, s in states.items()}))

    def daemons(self) -> dict[str, DaemonState]:
        if not self._daemons.exists():
            return {}
        return {n: DaemonState(*state) for n, state in json.loads(self._daemons.read_text()).items()}

    def forget(self) -> None:
        """Remove the ids and counts of processes that ended."""
        for file in (self._running, self._daemons):
            file.unlink(missing_ok=True)


def _lock_of_all(kind: int) -> bytes:
    return struct.pack(_LOCK, kind, os.SEEK_SET, 0, 0, 0)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
