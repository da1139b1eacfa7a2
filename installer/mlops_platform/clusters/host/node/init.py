"""The node's PID 1: it builds mounts and network, runs the programs, restarts those that die, and stops all.

This process is not part of the command line: it writes to its own log, and waits for signals itself.
"""

from __future__ import annotations

import os
import resource
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from mlops_platform.adapters import process
from mlops_platform.clusters.host.api import Api, Unreachable
from mlops_platform.clusters.host.daemons import Daemon, daemons
from mlops_platform.clusters.host.layout import INSIDE, Node
from mlops_platform.clusters.host.node import cgroups, mounts, network
from mlops_platform.clusters.host.node.stop import GRACE_SECONDS
from mlops_platform.clusters.host.node.supervision import DaemonState, Supervision

RESTART_SECONDS = 0.5
_KUBELET_SECONDS = 1.0
_ETCD_SECONDS = 2.0
_POLL_SECONDS = 0.1
_MOST_FILES = 1 << 20
_LOG_BYTES = 20_000_000
_CALLERS = 128  # that wait while a program restarts
_IDLE_SECONDS = 600  # then only the sizes of logs are checked
LOGS = INSIDE / "logs"


def main(node: Node, gate: int) -> None:
    """Run PID 1. Returns when the node has stopped; the kernel ends the processes that are left."""
    signals = Signals()
    if os.read(gate, 1) != b"1":
        log("the start ended before the node was connected")
        return
    os.close(gate)
    hierarchies = cgroups.hierarchies()
    network.configure(node)
    socket.sethostname(node.name)
    mounts.build(node, hierarchies)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    os.chdir("/")
    log("namespaces, network and mounts are ready")
    Init(node, signals).run()


def log(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stdout.flush()


def shorten(folder: Path, most_bytes: int) -> None:
    """Keep one older part of each log. Programs append to an open file: it is copied, then emptied."""
    for file in folder.glob("*.log"):
        if file.stat().st_size > most_bytes:
            shutil.copyfile(file, file.with_suffix(".log.1"))
            os.truncate(file, 0)


class Signals:
    """SIGCHLD and SIGTERM as an event to wait for, with a deadline."""

    def __init__(self) -> None:
        read, write = socket.socketpair()
        for end in (read, write):
            end.setblocking(False)
        self.stopping = False
        self._read, self._write = read, write
        self._selector = selectors.DefaultSelector()
        self._selector.register(read, selectors.EVENT_READ)
        signal.set_wakeup_fd(write.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or earlier when a signal arrives."""
        if self._selector.select(max(0.0, seconds)):
            self._read.recv(4096)


class Init:
    """The supervisor of the daemons. Single-threaded: every change happens in `_turn`."""

    def __init__(self, node: Node, signals: Signals) -> None:
        self._node = node
        self._signals = signals
        self._supervision = Supervision(node)
        self._daemons = {daemon.name: daemon for daemon in daemons(node)}
        self._running: dict[int, tuple[str, Popen[bytes]]] = {}
        self._due: dict[str, float] = {}
        self._states: dict[str, DaemonState] = {}
        self._listening = {d.name: _listen(d.socket) for d in self._daemons.values() if d.socket}

    def run(self) -> None:
        for daemon in self._daemons.values():
            if not daemon.needs_api:
                self._start(daemon)
        self._until(self._api_ready)
        for daemon in self._daemons.values():
            if daemon.needs_api and not self._signals.stopping:
                self._start(daemon)
        self._until(lambda: False)
        self._stop()

    def _until(self, done: Callable[[], bool]) -> None:
        """Serve until `done`, or until a stop. Polls only while a start or restart is pending."""
        while not self._signals.stopping and not done():
            self._turn()
            shorten(LOGS, _LOG_BYTES)
            idle = all(d.name in self._states for d in self._daemons.values()) and not self._due
            self._signals.wait(_IDLE_SECONDS if idle else _POLL_SECONDS)

    def _turn(self) -> None:
        self._reap()
        now = time.monotonic()
        for name in [name for name, due in self._due.items() if due <= now]:
            del self._due[name]
            self._start(self._daemons[name])

    def _start(self, daemon: Daemon) -> None:
        listening = self._listening.get(daemon.name)
        child = process.spawn(
            (*daemon.argv, *(("--listen", str(listening.fileno())) if listening else ())),
            stdout=LOGS / f"{daemon.name}.log",
            pass_fds=(listening.fileno(),) if listening else (),
        )
        self._running[child.pid] = (daemon.name, child)
        before = self._states.get(daemon.name, DaemonState(0, ""))
        self._record(daemon.name, DaemonState(before.starts + 1, before.ended))
        log(f"{daemon.name} started, pid {child.pid}")

    def _reap(self) -> None:
        """Reap the daemons, and the orphans of pods, whose parent is PID 1."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._running:
                self._ended(pid, os.waitstatus_to_exitcode(status))

    def _ended(self, pid: int, code: int) -> None:
        name, child = self._running.pop(pid)
        child.returncode = code  # else Popen would wait for the child in its destructor
        ended = f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        self._record(name, DaemonState(self._states[name].starts, ended))
        log(f"{name} ended: {ended}")
        self._due[name] = time.monotonic() + RESTART_SECONDS

    def _record(self, name: str, state: DaemonState) -> None:
        self._states[name] = state
        self._supervision.record_daemons(self._states, INSIDE)

    def _api_ready(self) -> bool:
        try:
            # Plain text "ok", for every authenticated user.
            return Api(self._node, INSIDE / "pki", "kubelet", seconds=2).request("GET", "/readyz")[0] == 200
        except Unreachable:
            return False

    def _stop(self) -> None:
        """Stop kubelet first, which would start pods again, and etcd last; the others need no clean end."""
        log("stopping")
        self._end("kubelet", _KUBELET_SECONDS)
        for pid in _containers():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
        self._wait(lambda: not _containers(), GRACE_SECONDS)
        left = _containers()
        if left:
            log(f"{len(left)} containers did not end within {GRACE_SECONDS} s")
        # Its open watches would delay etcd's end by 2 s, and it has no data to write.
        self._end("apiserver", _ETCD_SECONDS, signal.SIGKILL)
        self._end("etcd", _ETCD_SECONDS)
        log("stopped")

    def _end(self, name: str, seconds: float, number: signal.Signals = signal.SIGTERM) -> None:
        for pid, (running, child) in list(self._running.items()):
            if running == name:
                child.send_signal(number)
                self._wait(lambda pid=pid: pid not in self._running, seconds)  # type: ignore[misc]

    def _wait(self, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            self._signals.wait(_POLL_SECONDS / 2)
            self._reap()


def _listen(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.listen(_CALLERS)
    return listening


def _containers() -> list[int]:
    """Return the first process of each container: the children of shims, without the pause processes."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid, fields = int(folder.name), text[text.rindex(")") + 2 :].split()
        if fields[0] not in "ZX":
            parents[pid], names[pid] = int(fields[1]), text[text.index("(") + 1 : text.rindex(")")]
    return [
        pid
        for pid, parent in parents.items()
        if names.get(parent, "").startswith("containerd-shim") and names[pid] != "pause"
    ]
