"""Programs on PATH: which of them are used in place of a wheel or a build."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.helm.versions import pinned
from mlops_platform.adapters.prebuilt import Prebuilt
from mlops_platform.adapters.programs import ARCHITECTURE, Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent

assert HELM.prebuilt
PREBUILT: Prebuilt = replace(HELM.prebuilt, architecture=ARCHITECTURE)


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a `helm` that is alone on PATH."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "path/helm"


def write(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("version", ["v4.3", "v4.3.0", "v4.3.7+gabc"])
def test_program_on_path_is_used_if_its_minor_version_is_the_pinned_one(
    helm: Path, tmp_path: Path, version: str
) -> None:
    write(helm, f"echo {version}")
    programs, program = Programs(tmp_path / "cache"), replace(HELM, prebuilt=PREBUILT)
    assert programs.built(program)
    assert programs.build(program, Silent(), Cancel()) == programs.folder(program) == helm.parent
    assert programs.origin(program, PREBUILT) == f"helm {version[1:]} from PATH: {helm}"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("echo v3.18.4", "3.18.4"),
        ("echo v4.30.0", "4.30.0"),
        ("exit 3", "(unknown version)"),
        ("echo", "(unknown version)"),
    ],
)
def test_program_on_path_of_another_version_is_named_and_not_used(
    helm: Path, tmp_path: Path, text: str, version: str
) -> None:
    write(helm, text)
    programs, program = Programs(tmp_path / "cache"), replace(HELM, prebuilt=PREBUILT)
    assert not programs.built(program)
    assert programs.origin(program, PREBUILT) == f"helm 4.3.1 to fetch; {helm} {version} does not fit"


def test_file_on_path_that_is_no_program_is_not_used(helm: Path, tmp_path: Path) -> None:
    helm.write_bytes(b"\x7fELF")
    helm.chmod(0o755)
    assert not Programs(tmp_path / "cache").built(replace(HELM, prebuilt=PREBUILT))


def test_program_on_path_is_asked_again_after_it_was_replaced(helm: Path, tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), replace(HELM, prebuilt=PREBUILT)
    write(helm, "echo v3.18.4")
    assert not programs.built(program)
    helm.unlink()
    write(helm, "echo v4.3.1")
    assert programs.built(program)


def test_fetched_program_needs_no_go(helm: Path, tmp_path: Path) -> None:
    programs, program = Programs(tmp_path / "cache"), replace(HELM, prebuilt=PREBUILT)
    fetched = tmp_path / f"cache/programs/helm-{PREBUILT.sha256[:12]}"
    fetched.mkdir(parents=True)
    assert programs.build(program, Silent(), Cancel()) == programs.folder(program) == fetched
    assert programs.origin(program, PREBUILT) == "helm 4.3.1 from a wheel"


def test_program_is_built_on_a_processor_without_a_wheel(tmp_path: Path, helm: Path) -> None:
    program = Program("helm", HELM.module, replace(PREBUILT, architecture="another"))
    assert not Programs(tmp_path / "cache").fetched(program)
    assert Programs(tmp_path / "cache").origin(program, PREBUILT) == "helm 4.3.1 to build"


def test_helm_of_the_wheel_is_the_helm_that_would_be_built() -> None:
    assert PREBUILT.version == pinned().version
