"""Runs every subprocess: argv, environment, input, deadline, cancel, log file; identifies processes."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, PreflightError

TAIL_LINES = 20
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Completed:
    """The result of a program, with its complete output as text."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float


def pasteable(argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """The command with its added variables, quoted for a shell."""
    prefix = [f"{key}={shlex.quote(value)}" for key, value in sorted((env or {}).items())]
    return " ".join([*prefix, shlex.join(argv)])


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    seconds: float = 600,
    ok: Sequence[int] = (0,),
    cancel: Cancel | None = None,
    on_line: Callable[[str], None] | None = None,
    log: Path | None = None,
    what: str = "",
    hint: str = "",
) -> Completed:
    """Run a program to its end and return its output.

    `env` is added to this process's environment. Secrets go through `stdin` or files, never argv.
    `on_line` gets each line of stdout and stderr immediately; `log` collects both. The program runs in
    its own session, so a Ctrl-C at the terminal reaches only this process, which sends SIGTERM once, then
    SIGKILL after 10 s or when `cancel` is forced. Raises CommandFailed if the status is not in `ok` or the
    deadline passed, Interrupted if cancelled, PreflightError if the program does not exist.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(argv),
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise PreflightError(
            f"{argv[0]}: no such program", hint=hint or "run `mlops-platform check` to see what to install"
        ) from error
    pump = _Pump(process, stdin, on_line, log)
    try:
        ended = pump.until_end(started + seconds, cancel)
    finally:
        _end(process, cancel)
        pump.close()
    out, err = pump.text("stdout"), pump.text("stderr")
    result = Completed(tuple(argv), process.returncode, out, err, time.monotonic() - started)
    if ended == "cancelled":
        raise Interrupted(f"{what or argv[0]}: interrupted")
    if ended == "deadline" or result.returncode not in ok:
        ending = f"no end after {seconds:.0f} s" if ended == "deadline" else f"exit {result.returncode}"
        raise CommandFailed(
            f"{what or Path(argv[0]).name}: {ending}",
            returncode=result.returncode,
            why=tail(err) or tail(out),
            command=pasteable(argv, env),
            hint=hint,
        )
    return result


def spawn(
    argv: Sequence[str],
    *,
    stdout: Path,
    stderr: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that outlives this process: own session, output appended to files, no stdin.

    It inherits `pass_fds` under the same numbers, such as a lock with the lifetime of the program.

    A program that writes to a pipe dies with its reader; one that writes to a file does not
    (docs/traps.md, "a piped Terraform").
    """
    with stdout.open("ab") as out, (stderr or stdout).open("ab") as err:
        return subprocess.Popen(
            list(argv),
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            pass_fds=pass_fds,
        )


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a program's output, which usually contain the reason of a failure."""
    return "\n".join(text.strip().splitlines()[-lines:])


@dataclass(frozen=True)
class ProcessId:
    """Identity of a process, different from a later process with the same pid.

    `start_ticks` is the kernel's start time in clock ticks since boot. Setting the machine's clock does not
    change it, but does change psutil's `create_time()`.
    """

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """None if there is no such process, or only its zombie."""
        import psutil  # 13 ms, and PID 1 of a node imports this module

        try:
            if psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            while True:
                boot = psutil.boot_time()
                seconds = psutil.Process(pid).create_time() - boot
                if boot == psutil.boot_time():  # otherwise the clock was set in between
                    return cls(pid, round(seconds * os.sysconf("SC_CLK_TCK")))
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    def kill(self, number: int = signal.SIGTERM) -> bool:
        """Send a signal if this very process is still alive. True if it was sent."""
        if not self.alive:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def command_line(pid: int) -> list[str]:
    """Arguments of a process; empty if it has ended."""
    import psutil  # imported at use: start-up time

    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


class _Pump:
    """Moves the input and output of one process, without threads."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: str | None,
        on_line: Callable[[str], None] | None,
        log: Path | None,
    ) -> None:
        self._process = process
        self._on_line = on_line
        self._log: IO[bytes] | None = log.open("ab") if log else None
        self._chunks: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
        self._partial = {"stdout": b"", "stderr": b""}
        self._pending = stdin.encode() if stdin is not None else b""
        self._selector = selectors.DefaultSelector()
        for name in ("stdout", "stderr"):
            self._selector.register(getattr(process, name), selectors.EVENT_READ, name)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")

    def until_end(self, deadline: float, cancel: Cancel | None) -> str:
        """Wait for the end: 'ended', or 'deadline' or 'cancelled' with a process that may still run."""
        while self._selector.get_map():
            if cancel and cancel.requested:
                return "cancelled"
            if time.monotonic() > deadline:
                return "deadline"
            for key, _ in self._selector.select(_POLL_SECONDS):
                self._move(key)
            # A grandchild may keep our pipes open forever: the end of the program itself counts. (With both
            # pipes closed, select would only wait for its timeout.)
            open_pipes = bool(self._selector.get_map())
            if open_pipes and self._process.poll() is not None and not self._selector.select(_POLL_SECONDS):
                break
        while self._process.poll() is None:
            if cancel and cancel.requested:
                return "cancelled"
            if time.monotonic() > deadline:
                return "deadline"
            try:
                self._process.wait(_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
        return "ended"

    def _move(self, key: selectors.SelectorKey) -> None:
        if key.data == "stdin":
            self._write()
            return
        data = os.read(key.fd, 65536)
        if not data:
            self._selector.unregister(key.fileobj)
            return
        self._chunks[key.data].append(data)
        if self._log:
            self._log.write(data)
            self._log.flush()
        if self._on_line:
            *lines, self._partial[key.data] = (self._partial[key.data] + data).split(b"\n")
            for line in lines:
                self._on_line(line.decode(errors="replace"))

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin
        try:
            written = os.write(stdin.fileno(), self._pending[:65536]) if self._pending else 0
            self._pending = self._pending[written:]
        except BrokenPipeError:  # the program ended without reading its input: its status has the reason
            self._pending = b""
        if not self._pending:
            self._selector.unregister(stdin)
            stdin.close()

    def text(self, name: str) -> str:
        return b"".join(self._chunks[name]).decode(errors="replace")

    def close(self) -> None:
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream and not stream.closed:
                stream.close()
        if self._log:
            self._log.close()


def _end(process: subprocess.Popen[bytes], cancel: Cancel | None) -> None:
    """End the whole session: SIGTERM, then SIGKILL after 10 s, or immediately if forced."""
    if process.poll() is not None:
        return
    _signal_session(process.pid, signal.SIGTERM)
    give_up = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < give_up and not (cancel and cancel.forced):
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    _signal_session(process.pid, signal.SIGKILL)  # also the processes that the program left
    process.wait()


def _signal_session(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:  # it has ended in the meantime
        return
