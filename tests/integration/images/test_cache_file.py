"""`cache export` and `cache import` in real processes: killed, two at once, through a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlops_platform.adapters.buildonce import exclude_builders
from mlops_platform.adapters.cachefile import Wanted, save, survey, written
from mlops_platform.adapters.programs import Program, Programs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent

from tests.unit.adapters.cachefile import files

pytestmark = pytest.mark.integration

PAUSE = Program("pause", Paths.default().assets / "installer/mlops_platform/clusters/host/programs/pause")
TOOL = "programs/tool-0123456789ab"
HALF = """
import io, sys
from mlops_platform.adapters.cachefile import written
with written(sys.argv[1], io.BytesIO(), force=True) as out:
    out.write(b"half")
    out.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class World:
    """A cache, its file, and an empty second cache."""

    first: Path
    file: Path
    second: Path

    def start(
        self, *args: str, cache: Path | None = None, largest_file: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `mlops-platform cache …` on the second cache, on a disk that is full after some bytes."""
        pipe = subprocess.PIPE
        env = {**os.environ, "MLOPS_PLATFORM_CACHE": str(cache or self.second)}
        argv = ["prlimit", f"--fsize={largest_file}", "--"] if largest_file else []
        argv += [sys.executable, "-m", "mlops_platform.cli", "cache", *args]
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=env)

    def held(self) -> tuple[subprocess.Popen[bytes], bytes]:
        """An import that waits for the last bytes of a blob, and the bytes that it waits for."""
        whole = self.file.read_bytes()
        at = whole.index(b"blobs/") + 600  # inside the data of the first blob
        process = self.start("import", "-")
        assert process.stdin
        process.stdin.write(whole[:at])
        process.stdin.flush()

        def half_a_blob() -> bool | Pending:
            made = list((self.second / "images/blobs/sha256").glob(".*/blob"))
            return bool(made) or Pending("not there")

        wait_until("the import of the first blob", half_a_blob, seconds=60)
        return process, whole[at:]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("first")
    files.fill(folder / "cache", folder / "recipes")
    files.export(folder / "cache", folder / "file.tar")
    yield folder


@pytest.fixture
def world(first: Path, tmp_path: Path) -> World:
    return World(first / "cache", first / "file.tar", tmp_path / "second")


def test_killed_import_is_continued(world: World) -> None:
    process, _ = world.held()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (world.second / TOOL).is_dir() and not list((world.second / "images").glob("records/*"))
    assert list((world.second / "images/blobs/sha256").glob(".*")), "the half blob is not visible"
    again = world.start("import", str(world.file), "--output", "json")
    out, err = again.communicate()
    assert again.returncode == 0, err.decode()
    data = json.loads(out)["data"]
    assert Path(TOOL).name in data["there"]["programs"] and len(data["new"]["images"]) == 3
    assert files.contents(world.second) == files.contents(world.first)
    assert not list(world.second.rglob(".*.*")), "what the killed one left is removed"


def test_two_imports_share_the_work(world: World) -> None:
    one, rest = world.held()
    other = world.start("import", str(world.file))
    assert other.stderr and one.stdin
    assert any(b"another run is building it" in line for line in iter(other.stderr.readline, b""))
    one.communicate(rest)
    other.communicate()
    assert (one.returncode, other.returncode) == (0, 0)
    assert files.contents(world.second) == files.contents(world.first)


def test_prune_does_not_remove_blobs_of_a_running_import(world: World) -> None:
    process, rest = world.held()
    with pytest.raises(LockedError), exclude_builders(world.second):
        pass
    process.communicate(rest)
    assert process.returncode == 0
    with exclude_builders(world.second):
        pass


def test_interrupted_import_names_the_command_that_continues(world: World) -> None:
    process, _ = world.held()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130 and b"it skips what is done" in err
    assert not list(world.second.rglob(".*.*"))


def test_export_goes_through_a_pipe_into_an_import(world: World) -> None:
    exporting = world.start("export", "-", "--all", cache=world.first)
    data, err = exporting.communicate()
    assert exporting.returncode == 0, err.decode()
    importing = world.start("import", "-")
    _, err = importing.communicate(data)
    assert importing.returncode == 0, err.decode()
    assert files.contents(world.second) == files.contents(world.first)


def test_full_disk_ends_an_import_that_can_be_continued(world: World) -> None:
    full = world.start("import", str(world.file), largest_file=100_000)
    _, err = full.communicate()
    assert full.returncode == 5 and b"make room" in err, err.decode()
    assert not (world.second / TOOL).exists() and not list(world.second.rglob(".*.*"))
    again = world.start("import", str(world.file))
    again.communicate()
    assert again.returncode == 0
    assert files.contents(world.second) == files.contents(world.first)


def test_full_disk_ends_an_export_without_a_file(world: World, tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    full = world.start("export", str(target), "--all", cache=world.first, largest_file=2000)
    _, err = full.communicate()
    assert full.returncode == 5 and b"make room" in err, err.decode()
    assert list(tmp_path.iterdir()) == []


def test_killed_export_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    target.write_text("old")
    argv = [sys.executable, "-c", HALF, str(target)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert target.read_text() == "old"
    with written(str(target), sys.stdout.buffer, force=True) as out:
        out.write(b"new")
    assert target.read_text() == "new" and list(tmp_path.iterdir()) == [target]


def test_imported_program_runs(tmp_path: Path) -> None:
    """The real Go program, exported from the cache of this machine."""
    cache, second = Paths.default().cache, Programs(tmp_path / "second")
    Programs(cache).build(PAUSE, Silent(), Cancel())
    index, missing = survey(cache, Wanted(programs=(second.key(PAUSE),)), "1.0")
    assert missing == []
    with (tmp_path / "file.tar").open("wb") as out:
        save(index, cache, out, lambda done: None)
    files.bring(tmp_path / "file.tar", second.cache)
    assert second.built(PAUSE)
    process = subprocess.Popen([str(second.folder(PAUSE) / "pause")])
    process.terminate()
    assert process.wait(10) in (0, -signal.SIGTERM)
