"""Subprocesses: output, input, status, deadline, cancel, and no remaining process."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from mlops_platform.adapters.process import ProcessId, pasteable, run, spawn
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, PreflightError

STUBBORN = (
    "import signal,sys,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


def test_output_is_complete_and_lines_are_passed_on(tmp_path: Path) -> None:
    lines: list[str] = []
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; done; head -c 200000 /dev/zero | tr '\\0' x"
    done = run(["sh", "-c", script], on_line=lines.append, log=tmp_path / "log")
    assert done.stdout.count("out") == 3 and done.stdout.endswith("x" * 1000)
    assert done.stderr == "err 1\nerr 2\nerr 3\n"
    assert [line for line in lines if line.startswith("out")] == ["out 1", "out 2", "out 3"]
    assert (tmp_path / "log").stat().st_size == len(done.stdout) + len(done.stderr)


def test_large_input_and_output_do_not_deadlock() -> None:
    text = "y" * 5_000_000
    assert run(["cat"], stdin=text).stdout == text


def test_program_that_ignores_its_input_keeps_its_status() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "exit 3"], stdin="z" * 5_000_000)
    assert caught.value.returncode == 3


def test_failure_has_the_end_of_the_output_and_the_command() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo 'no such table' >&2; exit 7"], env={"A": "b c"}, what="migrate")
    error = caught.value
    assert (error.what, error.why, error.returncode) == ("migrate: exit 7", "no such table", 7)
    assert error.command == "A='b c' sh -c 'echo '\"'\"'no such table'\"'\"' >&2; exit 7'"


def test_missing_program_is_a_preflight_error() -> None:
    with pytest.raises(PreflightError, match="no-such-program-here: no such program"):
        run(["no-such-program-here"])


def test_deadline_ends_the_whole_session(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailed, match="no end after"):
        run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"], seconds=0.5)
    child = int(pid_file.read_text())
    wait_until("death", lambda: Pending("alive") if ProcessId.of(child) else True, seconds=10)


def test_cancel_terminates_and_forced_cancel_kills(tmp_path: Path) -> None:
    cancel, started = Cancel(), threading.Event()

    def stop() -> None:
        started.wait(10)
        cancel.request()
        cancel.request()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        run([sys.executable, "-c", STUBBORN], cancel=cancel, on_line=lambda _: started.set())
    thread.join()


def test_grandchild_with_open_pipes_does_not_delay_the_end() -> None:
    done = run(["sh", "-c", "sleep 300 & echo done $!"], seconds=20)
    pid = int(done.stdout.split()[1])
    assert done.seconds < 10
    os.kill(pid, signal.SIGKILL)


def test_spawned_program_writes_to_files_in_its_own_session(tmp_path: Path) -> None:
    process = spawn(["sh", "-c", "echo hello; ps -o sid= -p $$"], stdout=tmp_path / "out")
    process.wait()
    word, session = (tmp_path / "out").read_text().split()
    assert word == "hello" and int(session) == process.pid != os.getsid(0)


def test_process_id_differs_from_a_later_process_with_the_same_pid() -> None:
    process = spawn(["sleep", "600"], stdout=Path(os.devnull))
    identity = ProcessId.of(process.pid)
    assert identity and identity.alive
    stat = Path(f"/proc/{process.pid}/stat").read_text()  # as in the records of running environments
    assert identity.start_ticks == int(stat[stat.rindex(")") + 2 :].split()[19])
    assert not ProcessId(process.pid, identity.start_ticks - 1).alive
    assert not ProcessId(process.pid, identity.start_ticks - 1).kill()
    assert identity.kill(signal.SIGKILL)
    wait_until("death", lambda: Pending("alive") if identity.alive else True, seconds=10)
    process.wait()


def test_pasteable_quotes_arguments() -> None:
    assert pasteable(["helm", "upgrade", "a b"], {"X": "$y"}) == "X='$y' helm upgrade 'a b'"
