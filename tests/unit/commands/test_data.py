"""Names of files in the data of a project, and where downloads are written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlops_platform.adapters.s3 import Found
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.commands.data import _files, _target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "train"
    (made / "sub").mkdir(parents=True)
    for name in ("a", "sub/b"):
        (made / name).write_text(name)
    return made


@pytest.mark.parametrize(
    ("source", "to", "keys"),
    [
        ("train", "", ["train/a", "train/sub/b"]),
        ("train", "2026", ["2026/a", "2026/sub/b"]),
        ("train", "2026/", ["2026/a", "2026/sub/b"]),
        ("train/a", "", ["a"]),
        ("train/a", "2026/", ["2026/a"]),
        ("train/a", "first.txt", ["first.txt"]),
    ],
)
def test_files_get_their_keys(folder: Path, source: str, to: str, keys: list[str]) -> None:
    assert [key for _, key in _files(folder.parent / source, to)] == keys


@pytest.mark.parametrize("to", ["../x", "/x", "a//b", "a/./b", "x" * 1025])
def test_key_that_is_no_relative_path_is_refused(folder: Path, to: str) -> None:
    with pytest.raises(UsageError, match="not the name of a file"):
        list(_files(folder / "a", to))


def test_missing_source_and_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        list(_files(tmp_path / "none", ""))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no files"):
        list(_files(tmp_path / "empty", ""))


def found(key: str) -> Found:
    return Found(key, 1, "etag", datetime.now(UTC))


@pytest.mark.parametrize(
    ("key", "below", "path"), [("a/b/c", "", "out/c"), ("a/b/c", "a/", "out/b/c"), ("a", "", "out/a")]
)
def test_download_is_written_below_the_folder(key: str, below: str, path: str) -> None:
    assert _target(found(key), Path("out"), below) == Path(path)


@pytest.mark.parametrize(
    ("key", "below"), [("a/../../x", "a/"), ("..", ""), ("a//etc/passwd", "a/"), ("a/", "a/")]
)
def test_key_that_leads_out_of_the_folder_is_refused(key: str, below: str) -> None:
    with pytest.raises(StepError, match="no name of a file"):
        _target(found(key), Path("out"), below)
