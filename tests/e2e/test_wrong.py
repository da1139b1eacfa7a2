"""Errors for a wrong machine or wrong files: the message, and that nothing is changed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e


@pytest.fixture
def wrong(tmp_path: Path) -> Platform:
    return Platform.make("wrong", tmp_path)


def path_without(program: str, folder: Path) -> str:
    """A PATH with all programs of this machine except one."""
    folder.mkdir()
    for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/go/bin", "/usr/local/bin"):
        for file in Path(place).iterdir() if Path(place).is_dir() else []:
            link = folder / file.name
            if file.name != program and not link.is_symlink():
                link.symlink_to(file)
    return str(folder)


def test_up_without_terraform_ends_with_a_hint(wrong: Platform, tmp_path: Path) -> None:
    result = wrong.run("up", "--yes", env={"PATH": path_without("terraform", tmp_path / "bin")})
    assert result.code == 4
    assert "terraform" in result.err and "hint" in result.err
    assert not (wrong.state / "node").exists()


def test_up_rejects_an_old_terraform(wrong: Platform, tmp_path: Path) -> None:
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "0.13.7"}\'\n')
    old.chmod(0o755)
    result = wrong.run("up", "--yes", env={"MLOPS_PLATFORM_TERRAFORM": str(old)})
    assert result.code == 4
    assert "0.13.7" in result.err


def test_up_reports_twenty_mistakes_in_one_pass(wrong: Platform) -> None:
    case = Path(__file__).parent.parent / "cases/environments/twenty.yaml"
    shutil.copy(case, wrong.folder / "environments/twenty.yaml")
    result = wrong.run("up", "--env", "twenty", "--output", "json")
    assert result.code == 3
    assert len(result.envelope["error"]["problems"]) >= 20
    assert not wrong.home.exists()


def test_up_reports_a_broken_component_with_its_line(
    wrong: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package runs from a copy of the checkout that a user has edited."""
    for folder in ("installer", "helm-values", "images", "terraform"):
        shutil.copytree(ROOT / folder, wrong.folder / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", str(wrong.folder / "installer"))
    broken = wrong.folder / "helm-values/minio/component.yaml"
    broken.write_text(broken.read_text().replace("version: ", "version: '>=1' #") + "provdes: {}\n")
    result = wrong.run("up", "--yes", "--output", "json")
    assert result.code == 3
    problems = result.envelope["error"]["problems"]
    assert {Path(p["file"]).parent.name for p in problems} == {"minio"}
    assert {"not a pinned version", "unknown key"} <= {w for p in problems for w in _said(p["what"])}
    assert all(p["line"] > 0 for p in problems)
    assert not wrong.home.exists()


def _said(what: str) -> set[str]:
    return {words for words in ("not a pinned version", "unknown key") if words in what}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "none", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(
    ("variable", "least"),
    [("MLOPS_PLATFORM_CACHE", "needs 12.0 GB of"), ("MLOPS_PLATFORM_HOME", "needs 3.0 GB of")],
)
def test_up_rejects_a_small_disk_with_figures(
    wrong: Platform, small_disk: Path, variable: str, least: str
) -> None:
    result = wrong.run("up", "--yes", env={variable: str(small_disk / "folder")})
    assert result.code == 4
    assert least in result.err and "MB free" in result.err


def test_unknown_environment_lists_the_known_ones(wrong: Platform) -> None:
    result = wrong.run("up", "--env", "stagign")
    assert result.code == 2
    assert "local" in result.err
