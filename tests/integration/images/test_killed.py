"""Proves image builds of real processes: two at once, killed in the middle, interrupted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from installer import cache
from installer.adapters.process import ProcessId
from installer.adapters.wait import Pending, wait_until
from installer.cancel import Cancel
from installer.paths import Paths
from installer.progress import Silent
from tests.unit.adapters.images import recipes

pytestmark = pytest.mark.integration

BUILD = """
import signal, sys
from pathlib import Path
from installer.adapters.images import Images, find_recipes
from installer.adapters.programs import Programs
from installer.cancel import Cancel
from installer.errors import Interrupted

class Told:
    def say(self, text): print(text, flush=True)
    def fraction(self, done, total, what=""): print(what, done, flush=True)
    def note(self, text): print(text, flush=True)

cancel = Cancel()
signal.signal(signal.SIGINT, lambda *_: cancel.request())
folder, cache, name = sys.argv[1:]
images = Images(Path(cache), Programs(Path(cache)), find_recipes(Path(folder)))
try:
    images.build(name, Told(), cancel)
except Interrupted:
    sys.exit(130)
"""


def build(folder: Path, cache: Path, name: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILD, str(folder), str(cache), name]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def big(folder: Path) -> Path:
    """An image of files alone that takes about a second to pack."""
    recipes.write(folder, base="files: {/base: content}", app="base: base\nfiles: {/app: content}")
    (folder / "app/content").write_bytes(random.Random(1).randbytes(150_000_000))
    return folder


def test_two_processes_build_one_image(tmp_path: Path) -> None:
    folder = big(tmp_path / "recipes")
    both = [build(folder, tmp_path / "cache", "app") for _ in range(2)]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert "".join(said).count("writing the files layer") == 2, "one for the base, one for the image"
    assert recipes.images(folder, tmp_path / "cache").built("app")


def test_a_kill_at_any_moment_leaves_nothing_that_counts(tmp_path: Path) -> None:
    folder, place = big(tmp_path / "recipes"), tmp_path / "cache"
    images = recipes.images(folder, place)
    expected = recipes.images(folder, tmp_path / "undisturbed").build("app", Silent(), Cancel()).read_bytes()
    for moment in (1, 60_000_000, 149_000_000):
        process = build(folder, place, "app")

        def far_enough(moment: int = moment) -> bool | Pending:
            sizes = [p.stat().st_size for p in place.glob("images/**/.*/*") if p.exists()]
            return max(sizes, default=0) >= moment or Pending(f"{sizes} bytes")

        wait_until("the layer to grow", far_enough, seconds=60, first_delay=0.001, longest_delay=0.001)
        process.kill()
        process.communicate()
        assert not images.built("app")
    assert images.build("app", Silent(), Cancel()).read_bytes() == expected
    assert not list(place.rglob(".*")), "what the killed left is swept up"


def test_a_killed_debian_build_leaves_no_process_no_mount_and_nothing_prune_would_not_take(
    tmp_path: Path,
) -> None:
    folder = recipes.write(tmp_path / "recipes", tiny="debian: [base-files]")
    process = build(folder, tmp_path / "cache", "tiny")
    until(process, "extracting archives")
    children = _descendants(process.pid)
    assert len(children) > 2
    process.kill()
    process.communicate()
    _gone(children)
    assert str(tmp_path) not in Path(f"/proc/{os.getpid()}/mountinfo").read_text()
    assert not recipes.images(folder, tmp_path / "cache").built("tiny")
    paths = Paths(home=tmp_path, cache=tmp_path / "cache", assets=tmp_path)
    assert [entry.kind for entry in cache.prune(paths, [])] == ["rest"]


def test_ctrl_c_ends_a_debian_build_and_takes_its_work_along(tmp_path: Path) -> None:
    folder = recipes.write(tmp_path / "recipes", tiny="debian: [base-files]")
    process = build(folder, tmp_path / "cache", "tiny")
    until(process, "downloading packages")
    children = _descendants(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode == 130
    _gone(children)
    assert not list((tmp_path / "cache/images").rglob(".*")), "no working folder"


def _descendants(pid: int) -> list[ProcessId]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [it for child in children if (it := ProcessId.of(int(child)))]
    return [*found, *(below for child in found for below in _descendants(child.pid))]


def _gone(children: Sequence[ProcessId]) -> None:
    def gone() -> bool | Pending:
        left = [child.pid for child in children if child.alive]
        return not left or Pending(f"still there: {left}")

    wait_until("its children's end", gone, seconds=10)
