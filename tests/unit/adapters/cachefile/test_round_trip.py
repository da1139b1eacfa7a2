"""A cache file brings the same entries to an empty cache, and only what is missing to another one."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from mlops_platform.adapters.buildonce import build_once
from mlops_platform.adapters.cachefile import Wanted, load, opened, save, survey, written
from mlops_platform.adapters.images import Images
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError, StepError, UsageError
from mlops_platform.base.progress import Silent

from tests.unit.adapters.cachefile import files
from tests.unit.adapters.images import recipes


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return files.fill(tmp_path / "cache", tmp_path / "recipes")


@pytest.fixture
def file(tmp_path: Path, images: Images) -> Path:
    files.export(tmp_path / "cache", tmp_path / "file.tar")
    return tmp_path / "file.tar"


def test_import_into_an_empty_cache_makes_the_same_files(tmp_path: Path, images: Images, file: Path) -> None:
    loaded = files.bring(file, tmp_path / "second")
    assert loaded.new == {
        "programs": ["second-0123456789ab", "tool-0123456789ab"],
        "charts": ["upstream-v1.0.0-0123456789ab", "minio-5.4.0-0123456789ab.tgz"],
        "images": sorted(images.key(name) for name in ("base", "app", "other")),
    }
    assert loaded.there == {}
    assert files.contents(tmp_path / "second") == files.contents(tmp_path / "cache")
    assert not list((tmp_path / "second").rglob(".*.*")), "no working folder stays"


def test_imported_images_need_no_build(tmp_path: Path, images: Images, file: Path) -> None:
    files.bring(file, tmp_path / "second")
    there = recipes.images(tmp_path / "recipes", tmp_path / "second")
    assert all(there.built(name) for name in ("base", "app", "other"))
    archives = [each.build("app", Silent(), Cancel()).read_bytes() for each in (images, there)]
    assert archives[0] == archives[1]


def test_imported_layers_are_used_by_a_changed_recipe(tmp_path: Path, images: Images, file: Path) -> None:
    files.bring(file, tmp_path / "second")
    before = set((tmp_path / "second/images/layers").iterdir())
    recipes.write(tmp_path / "recipes", app="base: base\nfiles: {/changed: content}")
    recipes.images(tmp_path / "recipes", tmp_path / "second").build("app", Silent(), Cancel())
    assert len(set((tmp_path / "second/images/layers").iterdir()) - before) == 1, "not the layer of the base"


def test_same_entries_give_the_same_bytes(tmp_path: Path, images: Images, file: Path) -> None:
    files.bring(file, tmp_path / "second")
    files.export(tmp_path / "second", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == file.read_bytes()


def test_file_is_a_plain_tar_with_each_layer_once(tmp_path: Path, images: Images, file: Path) -> None:
    names = [member.name for member in files.members(file)]
    assert names[0].startswith("index/")
    assert len(names) == len(set(names))
    stored = {path.name for path in (tmp_path / "cache/images/blobs/sha256").iterdir()}
    assert {name.removeprefix("blobs/") for name in names if name.startswith("blobs/")} == stored


@pytest.mark.parametrize("piped", [False, True])
def test_only_missing_entries_are_imported(tmp_path: Path, images: Images, file: Path, piped: bool) -> None:
    second = tmp_path / "second"
    files.bring(file, second)
    (second / "programs/tool-0123456789ab/tool").unlink()
    (second / "programs/tool-0123456789ab").rmdir()
    (second / "images/records" / f"{images.key('app')}.json").unlink()
    if piped:
        reader, writer = os.pipe()
        feeder = threading.Thread(target=_feed, args=(writer, file.read_bytes()))
        feeder.start()
        with os.fdopen(reader, "rb") as stream, opened("-", stream) as incoming:
            loaded = load(incoming, second, Silent())
        feeder.join()
    else:
        loaded = files.bring(file, second)
    assert loaded.new == {"programs": ["tool-0123456789ab"], "images": [images.key("app")]}
    assert sum(map(len, loaded.there.values())) == 5
    assert files.contents(second) == files.contents(tmp_path / "cache")


def _feed(writer: int, data: bytes) -> None:
    with os.fdopen(writer, "wb") as stream:
        stream.write(data)


def test_torn_blob_is_replaced_and_a_complete_record_stays(
    tmp_path: Path, images: Images, file: Path
) -> None:
    """The same recipe can give other bytes on this machine, after a security update of Debian."""
    second = tmp_path / "second"
    files.bring(file, second)
    record = second / "images/records" / f"{images.key('app')}.json"
    record.write_text(record.read_text() + "\n")
    blob = max((second / "images/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"torn")
    files.bring(file, second)
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert record.read_text().endswith("\n")


def test_only_the_wanted_entries_are_exported_and_the_others_named(tmp_path: Path, images: Images) -> None:
    cache = tmp_path / "cache"
    wanted = Wanted(("tool-0123456789ab", "none-0123456789ab"), (images.key("base"),), ("none.tgz",))
    index, missing = survey(cache, wanted, "1.0")
    assert index.names == {"programs": ["tool-0123456789ab"], "images": [images.key("base")], "charts": []}
    assert missing == ["none-0123456789ab", "none.tgz"]
    assert len(index.layers) == 1


def test_image_with_a_missing_blob_is_not_exported(tmp_path: Path, images: Images) -> None:
    cache = tmp_path / "cache"
    record = (cache / "images/records" / f"{images.key('app')}.json").read_text()
    only = next(
        p for p in (cache / "images/blobs/sha256").iterdir() if record.count(p.name) and _own(p, cache)
    )
    only.unlink()
    index, missing = survey(cache, Wanted.everything(cache), "1.0")
    assert missing == [images.key("app")] and images.key("app") not in index.images


def _own(blob: Path, cache: Path) -> bool:
    return sum(blob.name in record.read_text() for record in (cache / "images/records").iterdir()) == 1


def test_damaged_blob_ends_the_export_without_a_file(tmp_path: Path, images: Images) -> None:
    cache, target = tmp_path / "cache", tmp_path / "out.tar"
    blob = max((cache / "images/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(bytes(blob.stat().st_size))
    index, _ = survey(cache, Wanted.everything(cache), "1.0")
    with (
        pytest.raises(StepError, match="is damaged") as caught,
        written(str(target), io.BytesIO(), force=False) as out,
    ):
        save(index, cache, out, lambda done: None)
    assert caught.value.command == f"rm {blob}"
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


def test_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    target.write_text("old")
    with pytest.raises(UsageError, match="exists") as caught, written(str(target), io.BytesIO(), force=False):
        pass
    assert "--force" in caught.value.hint and target.read_text() == "old"
    with written(str(target), io.BytesIO(), force=True) as out:
        out.write(b"new")
        assert target.read_text() == "old", "a reader sees the old file until the new one is complete"
    assert target.read_text() == "new"


def test_file_of_a_link_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with written(str(tmp_path / "link"), io.BytesIO(), force=True) as out:
        out.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize("name", ["folder", "/dev/null"])
def test_only_files_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="exists"), written(name, io.BytesIO(), force=True):
        pass
    assert Path("/dev/null").is_char_device()


def test_two_exports_to_one_file_exclude_each_other(tmp_path: Path) -> None:
    target = str(tmp_path / "out.tar")
    with written(target, io.BytesIO(), force=False) as out:
        with pytest.raises(LockedError, match="another run"), written(target, io.BytesIO(), force=False):
            pass
        out.write(b"first")
    assert (tmp_path / "out.tar").read_text() == "first"


@pytest.mark.parametrize("name", ["none/out.tar", "x" * 300, ""])
def test_file_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((StepError, UsageError)), written(name, io.BytesIO(), force=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_program_that_another_run_builds_meanwhile_stays(tmp_path: Path, file: Path) -> None:
    second, key, waited = tmp_path / "second", "tool-0123456789ab", threading.Event()
    started = threading.Event()

    def make(work: Path) -> Path:
        (work / "tool").write_text("built here")
        started.set()
        waited.wait()
        return work

    class Waiting(Silent):
        def say(self, text: str) -> None:
            waited.set()

    builder = threading.Thread(target=build_once, args=(second, second / "programs" / key, make))
    builder.start()
    started.wait()
    with opened(str(file), io.BytesIO()) as incoming:
        loaded = load(incoming, second, Waiting())
    builder.join()
    assert waited.is_set() and loaded.there == {"programs": [key]}
    assert (second / "programs" / key / "tool").read_text() == "built here"


def test_program_of_a_killed_build_is_not_exported(tmp_path: Path, images: Images) -> None:
    (tmp_path / "cache/programs/.third-0123456789ab.x1").mkdir()
    index, _ = survey(tmp_path / "cache", Wanted.everything(tmp_path / "cache"), "1.0")
    assert "third" not in " ".join(index.programs)


@pytest.mark.parametrize("name", ["programs/by hand-1/tool", "programs/tool-1/more/tool", "charts/a b"])
def test_entry_that_no_build_has_made_is_an_error(tmp_path: Path, images: Images, name: str) -> None:
    cache = tmp_path / "cache"
    (cache / name).parent.mkdir(parents=True, exist_ok=True)
    (cache / name).write_text("x")
    with pytest.raises(StepError, match="has an entry that") as caught:
        survey(cache, Wanted.everything(cache), "1.0")
    assert "not a name of the cache" in caught.value.why


def test_empty_program_is_named_as_missing(tmp_path: Path, images: Images) -> None:
    (tmp_path / "cache/programs/empty-0123456789ab").mkdir()
    _, missing = survey(tmp_path / "cache", Wanted.everything(tmp_path / "cache"), "1.0")
    assert missing == ["empty-0123456789ab"]


def test_other_programs_can_list_the_file(file: Path) -> None:
    with tarfile.open(file) as tar:
        assert all(member.isreg() and member.mtime == 0 for member in tar)
