"""Folders of DAGs: what is read, what is rejected before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.steps.projects.dags import Version, read

DAG = "from airflow.sdk import DAG\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        read(folder)
    return [f"{Path(each.file).name}:{each.line}: {each.what}" for each in raised.value.problems]


def test_version_is_the_digest_of_paths_and_texts(tmp_path: Path) -> None:
    first = read(write(tmp_path / "one", daily_py=DAG, lib__words_py="WORD = 1\n"))
    same = read(write(tmp_path / "two", lib__words_py="WORD = 1\n", daily_py=DAG))
    other = read(write(tmp_path / "three", daily_py=DAG, lib__words_py="WORD = 2\n"))
    assert dict(first.files) == {"daily.py": DAG, "lib/words.py": "WORD = 1\n"}
    assert first.name == same.name != other.name


def test_files_that_name_packages_are_reported() -> None:
    assert Version({"daily.py": "", "lib/requirements.txt": "x"}).ignored == ["lib/requirements.txt"]


def test_syntax_errors_are_reported_with_file_and_line(tmp_path: Path) -> None:
    folder = write(tmp_path, a_py="x = 1\nif x\n", b_py="def f(:\n", c_py=DAG)
    assert problems(folder) == ["a.py:2: not Python: expected ':'", "b.py:1: not Python: invalid syntax"]


def test_a_folder_without_python_is_rejected(tmp_path: Path) -> None:
    assert problems(write(tmp_path, notes_txt="x")) == [f"{tmp_path.name}:0: no file with a DAG in it"]


def test_a_missing_folder_is_rejected(tmp_path: Path) -> None:
    assert problems(tmp_path / "none") == ["none:0: no such folder"]


def test_links_and_large_folders_are_rejected(tmp_path: Path) -> None:
    folder = write(tmp_path / "dags", daily_py=DAG, large_txt="x" * (600 * 1024))
    (folder / "a.py").symlink_to("/etc/passwd")
    found = problems(folder)
    assert "dags:0: a.py is a symbolic link" in found
    assert "dags:0: more than 512 KiB" in found
