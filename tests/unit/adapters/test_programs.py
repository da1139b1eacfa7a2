"""Proves what a program's key depends on, and what is said where there is no Go or an old one."""

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


def test_a_key_depends_on_all_files_of_the_module_and_on_nothing_else(tmp_path: Path) -> None:
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


def test_without_go_nothing_is_built_and_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a")
    assert not programs.built(program)
    with pytest.raises(PreflightError, match="go: no such program") as caught:
        programs.build(program, Silent(), Cancel())
    assert "install Go" in caught.value.hint


def test_a_module_that_needs_a_newer_go_says_so_before_it_is_built(tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a", go="99.1")
    with pytest.raises(PreflightError, match=r"probe needs Go 99\.1") as caught:
        programs.build(program, Silent(), Cancel())
    assert find_go().version in caught.value.why
    assert not (tmp_path / "cache").exists()


def test_using_a_program_is_remembered_for_cache_show(tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), module(tmp_path / "a")
    programs.folder(program).mkdir(parents=True)
    os.utime(programs.folder(program), (1, 1))
    assert programs.build(program, Silent(), Cancel()) == programs.folder(program)
    assert programs.folder(program).stat().st_mtime > 1
