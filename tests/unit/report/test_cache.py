"""`cache prune` removes unused entries and keeps all parts of used ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from mlops_platform.adapters.images import Images
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.plan_images import image_names
from mlops_platform.report import cache
from mlops_platform.report.cache_needs import needs, wanted_by
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment

from tests.unit.adapters.images import recipes

BASE = "files: {/base: content}"
APP = "base: base\nfiles: {/app: content}"
OTHER = "base: base\nfiles: {/other: content}"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(home=tmp_path / "home", cache=tmp_path / "cache", assets=tmp_path)


@pytest.fixture
def images(paths: Paths, tmp_path: Path) -> Images:
    built = recipes.images(recipes.write(tmp_path / "recipes", base=BASE, app=APP, other=OTHER), paths.cache)
    for name in ("app", "other"):
        built.build(name, Silent(), Cancel())
    return built


def total(folder: Path) -> int:
    return sum(p.lstat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())


def names(entries: list[cache.Entry], kind: str) -> list[str]:
    return [entry.name for entry in entries if entry.kind == kind]


def test_sizes_add_up_to_the_disk_usage(paths: Paths, images: Images) -> None:
    (paths.cache / "build/go/mod").mkdir(parents=True)
    (paths.cache / "build/go/mod/file").write_text("x" * 10_000)
    (paths.cache / "programs/.old-1.x").mkdir(parents=True)
    (paths.cache / "programs/.old-1.x/half").write_text("x" * 10_000)
    (paths.cache / "charts").mkdir()
    (paths.cache / "charts/one-1.tgz").write_text("x")
    shown = cache.show(paths, [])
    assert {entry.kind for entry in shown} == {"image", "layer", "build cache", "rest", "chart"}
    assert sum(entry.size for entry in shown) == total(paths.cache)
    assert all(entry.last_used > 0 for entry in shown)


def test_kept_image_is_complete_and_others_are_removed(paths: Paths, images: Images) -> None:
    archive = images.build("app", Silent(), Cancel()).read_bytes()
    before = total(paths.cache)
    removed = cache.prune(paths, [images.key("app")])
    assert names(removed, "image") == [images.key("other")]
    assert len(names(removed, "layer")) == 1, "the shared base stays"
    assert before - sum(entry.size for entry in removed) == total(paths.cache)
    assert images.built("app") and not images.built("other")
    assert images.build("app", Silent(), Cancel()).read_bytes() == archive
    assert cache.prune(paths, [images.key("app")]) == [], "a second run removes nothing"


def test_build_caches_and_remains_are_removed_and_charts_stay(paths: Paths, images: Images) -> None:
    for file in ("build/go/a", "programs/.p-1.x/b", "images/blobs/sha256/.tmp", "charts/c.tgz"):
        (paths.cache / file).parent.mkdir(parents=True, exist_ok=True)
        (paths.cache / file).write_text("x")
    keep = [images.key("app"), images.key("other")]
    assert {entry.kind for entry in cache.prune(paths, keep)} == {"build cache", "rest"}
    assert (paths.cache / "charts/c.tgz").exists()
    assert not list(paths.cache.rglob(".*"))


def test_everything_removes_charts_too(paths: Paths, images: Images) -> None:
    (paths.cache / "charts").mkdir()
    (paths.cache / "charts/c.tgz").write_text("x")
    cache.prune(paths, [images.key("app")], everything=True)
    assert total(paths.cache) == 0
    assert not images.built("app")


def test_running_program_is_kept(paths: Paths) -> None:
    for name in ("old-1", "older-1"):
        (paths.cache / "programs" / name).mkdir(parents=True)
        shutil.copy("/bin/sleep", paths.cache / "programs" / name / "sleep")
    running = subprocess.Popen([str(paths.cache / "programs/old-1/sleep"), "600"])
    try:
        assert {e.name: e.used_by for e in cache.show(paths, [])} == {"old-1": ("running",), "older-1": ()}
        assert names(cache.prune(paths, []), "program") == ["older-1"]
        assert (paths.cache / "programs/old-1/sleep").exists()
    finally:
        running.kill()
        running.wait()
    assert names(cache.prune(paths, []), "program") == ["old-1"]


def test_empty_cache_is_no_error(paths: Paths) -> None:
    assert cache.show(paths, []) == []
    assert cache.prune(paths, []) == []


def test_prune_during_a_build_is_an_error(paths: Paths, tmp_path: Path) -> None:
    folder = recipes.write(tmp_path / "recipes", base=BASE)
    errors: list[LockedError] = []

    class Pruning(Silent):
        def say(self, text: str) -> None:
            with pytest.raises(LockedError) as caught:
                cache.prune(paths, [])
            errors.append(caught.value)

    recipes.images(folder, paths.cache).build("base", Pruning(), Cancel())
    assert errors


def test_keys_have_every_program_and_image_of_an_environment(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path / "home", cache=tmp_path / "cache", assets=Paths.default().assets)
    context = read_only(open_environment("local", paths))
    keys = needs([context, context])
    assert set(keys.values()) == {("local",)}
    assert {context.images.key(name) for name in image_names(context)} < set(keys)
    assert {context.programs.key(program) for program in context.cluster.programs} < set(keys)


def test_charts_of_modules_are_needed_and_shown_with_their_users(tmp_path: Path) -> None:
    paths = Paths(home=tmp_path / "home", cache=tmp_path / "cache", assets=Paths.default().assets)
    context = read_only(open_environment("local", paths))
    charts = wanted_by(context).charts
    assert len(charts) == sum(bool(component.module) for component in context.components) > 0
    for name in (charts[0], "old-v1.0.0-0123456789ab"):
        (paths.cache / "charts" / name).mkdir(parents=True)
    assert {e.name: e.used_by for e in cache.show(paths, [context])} == {
        charts[0]: ("local",),
        "old-v1.0.0-0123456789ab": (),
    }
