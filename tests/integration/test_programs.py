"""Builds of the smallest program with the real Go: two processes, kills, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent

from tests import proc

pytestmark = pytest.mark.integration

PAUSE = Program("pause", Paths.default().assets / "installer/mlops_platform/clusters/host/programs/pause")

BUILD = """
import sys
from pathlib import Path
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.adapters.programs import Program

class RecordingProgress:
    def say(self, text): print(text, flush=True)
    def fraction(self, done, total, what=""): print(what, done, flush=True)
    def note(self, text): print(text, flush=True)

Programs(Path(sys.argv[1])).build(Program("pause", Path(sys.argv[2])), RecordingProgress(), Cancel())
"""


def build(cache: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILD, str(cache), str(PAUSE.module)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_two_processes_build_once_after_a_kill_and_leave_no_cache(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    killed = build(tmp_path)
    assert killed.stdout and killed.stdout.readline(), "the build must be running"
    gos = _running_below(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert gos and not programs.built(PAUSE)
    assert (tmp_path / "build/go").is_dir(), "compiled packages must be kept"

    both = [build(tmp_path), build(tmp_path)]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum("packages" in text for text in said) == 1, said
    assert programs.built(PAUSE) and programs.folder(PAUSE).is_dir()
    assert [p.name for p in (tmp_path / "programs").iterdir()] == [programs.key(PAUSE)]
    assert list((tmp_path / "build").iterdir()) == []
    assert not [pid for pid in gos if pid.alive], "no compiler may outlive its parent"


def test_built_program_is_static(tmp_path: Path) -> None:
    binary = Programs(Paths.default().cache).build(PAUSE, Silent(), Cancel()) / "pause"
    assert b"ld-linux" not in binary.read_bytes(), "the program must be statically linked"
    process = subprocess.Popen([str(binary)])
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) in (0, -signal.SIGTERM)


def test_ctrl_c_stops_a_build_within_seconds(tmp_path: Path) -> None:
    cancel = Cancel()

    class RecordingProgress(Silent):
        def fraction(self, done: int, total: int, what: str = "") -> None:
            if not cancel.requested:
                cancel.request()

    with pytest.raises(Interrupted):
        Programs(tmp_path).build(PAUSE, RecordingProgress(), cancel)
    assert not _running_below(tmp_path)
    assert not Programs(tmp_path).built(PAUSE)


def test_failed_build_has_the_reason_and_keeps_the_go_cache(tmp_path: Path) -> None:
    (tmp_path / "module").mkdir()
    (tmp_path / "module/go.mod").write_text("module test/broken\n\ngo 1.22\n")
    (tmp_path / "module/main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    with pytest.raises(CommandFailed, match="broken: go build: exit 1") as caught:
        Programs(tmp_path / "cache").build(Program("broken", tmp_path / "module"), Silent(), Cancel())
    assert "undefined: undefined" in caught.value.why
    assert (tmp_path / "cache/build/go").is_dir()


def test_programs_of_one_run_share_the_go_cache(tmp_path: Path) -> None:
    modules = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "go.mod").write_text(f"module test/{name}\n\ngo 1.22\n")
        (folder / "main.go").write_text("package main\n\nfunc main() { println() }\n")
        modules.append(Program(name, folder))
    programs = Programs(tmp_path / "cache")
    threads = [threading.Thread(target=programs.build, args=(m, Silent(), Cancel())) for m in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(programs.built(each) for each in modules)
    assert not (tmp_path / "cache/build/go").exists()


def _running_below(folder: Path) -> list[ProcessId]:
    """Processes with the folder, where Go's caches are, in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(PermissionError):  # even root may not read some processes
            if f"GOCACHE={folder}".encode() in proc.read(pid, "environ") and (it := ProcessId.of(pid)):
                found.append(it)
    return found
