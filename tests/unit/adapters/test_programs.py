"""A program's key, and the errors without Go or with an old one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mlops_platform.adapters.programs import Program, Programs, find_go
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError
from mlops_platform.base.progress import Silent


def module(folder: Path, go: str = "1.22") -> Program:
    folder.mkdir()
    (folder / "go.mod").write_text(f"module test/probe\n\ngo {go}\n")
    (folder / "main.go").write_text("package main\n\nfunc main() {}\n")
    return Program("probe", folder)


def test_key_depends_on_the_files_of_the_module_only(tmp_path: Path) -> None:
    programs = Programs(tmp_path / "cache")
    one, two = module(tmp_path / "a"), module(tmp_path / "b")
    os.utime(two.module / "main.go", (1, 1))
    assert programs.key(one) == programs.key(two)
    seen = {programs.key(two)}
    for name in ("go.sum", "main.go", "inner/file.go"):
        (two.module / name).parent.mkdir(exist_ok=True)
        (two.module / name).write_text(f"// {name}\n")
        seen.add(programs.key(two))
    assert len(seen) == 4


def test_build_without_go_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a")
    assert not programs.built(program)
    with pytest.raises(PreflightError, match="go: no such program") as caught:
        programs.build(program, Silent(), Cancel())
    assert "install Go" in caught.value.hint


def test_module_that_requires_a_newer_go_is_an_error_before_the_build(tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a", go="99.1")
    with pytest.raises(PreflightError, match=r"probe needs Go 99\.1") as caught:
        programs.build(program, Silent(), Cancel())
    assert find_go().version in caught.value.why
    assert not (tmp_path / "cache").exists()


def test_use_of_a_program_updates_its_time(tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a")
    programs.folder(program).mkdir(parents=True)
    os.utime(programs.folder(program), (1, 1))
    assert programs.build(program, Silent(), Cancel()) == programs.folder(program)
    assert programs.folder(program).stat().st_mtime > 1
