"""Tests of image builds in real processes: two at once, killed, interrupted."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.report import cache

from tests import proc
from tests.unit.adapters.images import recipes

pytestmark = pytest.mark.integration

BUILD = """
import resource, signal, sys
from pathlib import Path
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted

class RecordingProgress:
    def say(self, text): print(text, flush=True)
    def fraction(self, done, total, what=""): print(what, done, flush=True)
    def note(self, text): print(text, flush=True)

cancel = Cancel()
signal.signal(signal.SIGINT, lambda *_: cancel.request())
folder, cache, name, dies_at = sys.argv[1:]
if int(dies_at):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(dies_at), int(dies_at)))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores
images = Images(Path(cache), Programs(Path(cache)), find_recipes(Path(folder)))
try:
    images.build(name, RecordingProgress(), cancel)
except Interrupted:
    sys.exit(130)
"""


def build(folder: Path, cache: Path, name: str, *, dies_at: int = 0) -> subprocess.Popen[str]:
    """Start a build; the kernel kills it when one of its files reaches `dies_at` bytes."""
    argv = [sys.executable, "-c", BUILD, str(folder), str(cache), name, str(dies_at)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"it never said {words!r}")


def big(folder: Path) -> Path:
    """Write a recipe of files only, packed in about a second."""
    recipes.write(folder, base="files: {/base: content}", app="base: base\nfiles: {/app: content}")
    (folder / "app/content").write_bytes(random.Random(1).randbytes(150_000_000))
    return folder


def test_two_processes_build_an_image_once(tmp_path: Path) -> None:
    folder = big(tmp_path / "recipes")
    both = [build(folder, tmp_path / "cache", "app") for _ in range(2)]
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert "".join(said).count("writing the files layer") == 2, "one for the base, one for the image"
    assert recipes.images(folder, tmp_path / "cache").built("app")


def test_killed_build_leaves_no_record(tmp_path: Path) -> None:
    folder, place = big(tmp_path / "recipes"), tmp_path / "cache"
    images = recipes.images(folder, place)
    expected = recipes.images(folder, tmp_path / "undisturbed").build("app", Silent(), Cancel()).read_bytes()
    for moment in (1, 60_000_000, 149_000_000):
        process = build(folder, place, "app", dies_at=moment)
        process.communicate()
        assert process.returncode == -signal.SIGXFSZ
        assert max(file.stat().st_size for file in place.rglob("*") if file.is_file()) == moment
        assert not images.built("app")
    assert images.build("app", Silent(), Cancel()).read_bytes() == expected
    assert not list(place.rglob(".*")), "what the killed left is swept up"


def test_killed_debian_build_leaves_no_process_and_no_mount(
    tmp_path: Path,
) -> None:
    folder = recipes.write(tmp_path / "recipes", tiny="debian: [base-files]")
    process = build(folder, tmp_path / "cache", "tiny")
    until(process, "extracting archives")
    children = proc.children(process.pid, recursive=True)
    assert len(children) > 2
    process.kill()
    process.communicate()
    proc.wait_gone(children)
    assert str(tmp_path) not in Path(f"/proc/{os.getpid()}/mountinfo").read_text()
    assert not recipes.images(folder, tmp_path / "cache").built("tiny")
    paths = Paths(home=tmp_path, cache=tmp_path / "cache", assets=tmp_path)
    assert [entry.kind for entry in cache.prune(paths, [])] == ["rest"]


def test_interrupted_debian_build_removes_its_files(tmp_path: Path) -> None:
    folder = recipes.write(tmp_path / "recipes", tiny="debian: [base-files]")
    process = build(folder, tmp_path / "cache", "tiny")
    until(process, "downloading packages")
    children = proc.children(process.pid, recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)
    assert process.returncode == 130
    proc.wait_gone(children)
    assert not list((tmp_path / "cache/images").rglob(".*")), "no working folder"
