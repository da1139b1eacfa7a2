"""A target is built once by all processes together, and a killed build leaves no target."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from mlops_platform.adapters.buildonce import build_once, exclude_builders, remove_tree, shared_folder
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, LockedError
from mlops_platform.base.progress import Silent

from tests import proc

# A builder in another process: prints its working folder, then waits for a line on stdin.
BUILDER = """
import sys
from pathlib import Path
from mlops_platform.adapters.buildonce import build_once
cache = Path(sys.argv[1])

def make(work):
    (work / "made").write_text("by the other")
    print(work, flush=True)
    sys.stdin.readline()
    return work / "made"

build_once(cache, cache / "things" / "thing", make)
"""


class Other:
    """The builder in another process, started when the constructor returns."""

    def __init__(self, cache: Path) -> None:
        argv = [sys.executable, "-c", BUILDER, str(cache)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.work = Path(self.process.stdout.readline().strip())
        assert (self.work / "made").exists()

    def end(self, number: int | None = None) -> None:
        if number:
            os.kill(self.process.pid, number)
        self.process.communicate("go on\n" if number is None else None)


def test_many_threads_build_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(work: Path) -> Path:
        made.append(work)
        (work / "file").write_text("done")
        return work

    target = tmp_path / "things/thing"
    threads = [threading.Thread(target=build_once, args=(tmp_path, target, make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and (target / "file").read_text() == "done"


def test_second_builder_waits_and_uses_the_result(tmp_path: Path) -> None:
    other = Other(tmp_path)
    said: list[str] = []

    class RecordingProgress(Silent):
        def say(self, text: str) -> None:
            said.append(text)
            other.end()

    def never(work: Path) -> Path:
        raise AssertionError("built twice")

    target = build_once(tmp_path, tmp_path / "things/thing", never, progress=RecordingProgress())
    assert target.read_text() == "by the other"
    assert said == ["another run is building it"]


def test_rests_of_a_killed_builder_are_removed(tmp_path: Path) -> None:
    other = Other(tmp_path)
    other.end(signal.SIGKILL)
    target = tmp_path / "things/thing"
    assert other.work.exists() and not target.exists()

    def make(work: Path) -> Path:
        assert not other.work.exists()
        (work / "made").write_text("by us")
        return work / "made"

    assert build_once(tmp_path, target, make).read_text() == "by us"
    assert [path.name for path in target.parent.iterdir()] == ["thing"]


def test_failed_build_leaves_no_files(tmp_path: Path) -> None:
    def make(work: Path) -> Path:
        (work / "half").mkdir()
        (work / "half").chmod(0o500)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        build_once(tmp_path, tmp_path / "things/thing", make)
    assert list((tmp_path / "things").iterdir()) == []


def test_ctrl_c_ends_waiting_for_another_builder(tmp_path: Path) -> None:
    other, cancel = Other(tmp_path), Cancel()
    try:

        class RecordingProgress(Silent):
            def say(self, text: str) -> None:
                cancel.request()

        with pytest.raises(Interrupted):
            build_once(
                tmp_path, tmp_path / "things/thing", lambda w: w, progress=RecordingProgress(), cancel=cancel
            )
    finally:
        other.end()


def test_incomplete_target_is_built_again(tmp_path: Path) -> None:
    target = tmp_path / "things/thing"
    target.parent.mkdir()
    target.write_text("torn")

    def make(work: Path) -> Path:
        (work / "made").write_text("whole")
        return work / "made"

    build_once(tmp_path, target, make, whole=lambda: target.read_text() == "whole")
    assert target.read_text() == "whole"


def test_builds_and_pruning_exclude_each_other(tmp_path: Path) -> None:
    other = Other(tmp_path)
    with pytest.raises(LockedError, match="another run is building"), exclude_builders(tmp_path):
        pass
    other.end()
    started = threading.Event()
    ended: list[Path] = []

    def build() -> None:
        started.set()
        ended.append(build_once(tmp_path, tmp_path / "things/later", lambda work: work))

    with exclude_builders(tmp_path):
        thread = threading.Thread(target=build)
        thread.start()
        started.wait()
        assert not ended and not (tmp_path / "things/later").exists()
    thread.join()
    assert ended


def test_last_user_removes_the_shared_folder(tmp_path: Path) -> None:
    def use(keep: bool) -> AbstractContextManager[Path]:
        return shared_folder(tmp_path, "go", keep=lambda: keep, progress=Silent(), cancel=Cancel())

    with use(False) as folder:
        folder.mkdir(parents=True)
        with use(False):
            pass
        assert folder.exists(), "another build still uses it"
    assert not folder.exists()
    with use(True):
        folder.mkdir()
    assert folder.exists(), "it will be needed again"
    with pytest.raises(ValueError, match="failed"), use(False):
        raise ValueError("failed")
    assert folder.exists(), "a failed build continues from there"


def test_read_only_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "mod/a").mkdir(parents=True)
    (tmp_path / "mod/a/file").write_text("12345")
    for folder in (tmp_path / "mod/a", tmp_path / "mod"):
        folder.chmod(0o500)
    assert remove_tree(tmp_path / "mod") == 5
    assert not (tmp_path / "mod").exists()


def test_folder_with_a_mount_is_not_removed(tmp_path: Path) -> None:
    """Runs in its own mount namespace, so that nothing is mounted on this machine."""
    (tmp_path / "root/dev").mkdir(parents=True)
    (tmp_path / "real").mkdir()
    (tmp_path / "real/precious").write_text("")
    code = (
        "import sys; from pathlib import Path; from mlops_platform.adapters.buildonce import remove_tree\n"
        "from mlops_platform.base.errors import StepError\n"
        "try: remove_tree(Path(sys.argv[1]))\n"
        "except StepError as error: print(error.what, '|', error.command)"
    )
    script = 'mount --bind "$1" "$2"/dev && exec "$3" -c "$4" "$2"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh"]
    argv += [str(tmp_path / "real"), str(tmp_path / "root"), sys.executable, code]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.endswith(f"is mounted in it | umount {tmp_path}/root/dev\n")
    assert (tmp_path / "real/precious").exists()


def test_tethered_program_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom mlops_platform.adapters.buildonce import tethered\n"
        "from mlops_platform.adapters.process import run\n"
        "run(tethered(['sh', '-c', 'sleep 600 & echo $$ $! > ' + sys.argv[1] + '; wait'], whole_tree=True))"
    )
    pids = tmp_path / "pids"
    runner = subprocess.Popen([sys.executable, "-c", code, str(pids)])

    def started() -> bool | Pending:
        return (pids.exists() and bool(pids.read_text().split())) or Pending("not started")

    wait_until("the tethered program", started, seconds=20)
    children = proc.children(runner.pid, recursive=True)
    assert len(children) >= 3
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    proc.wait_gone(children)
