"""The checks of a machine name what is missing, why it is needed, and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.clusters.base import Check
from mlops_platform.clusters.host import checks

from tests.unit.clusters.host.made import a_provider


def _all(home: Path, minimum_cores: int = checks.MINIMUM_CORES) -> dict[str, Check]:
    provider = a_provider(home)
    found = checks.all_checks(provider.place, provider.programs, provider.built_programs, minimum_cores)
    return {check.name: check for check in found}


def test_every_check_passes_here_and_has_a_figure(tmp_path: Path) -> None:
    found = _all(tmp_path)
    assert {name: c for name, c in found.items() if c.status != "ok"} == {}
    assert all(check.seen for check in found.values())
    assert list(tmp_path.iterdir()) == []


def test_machine_with_too_few_cores_fails(tmp_path: Path) -> None:
    found = _all(tmp_path, minimum_cores=4000)
    assert (found["cores"].status, found["cores"].why) == ("failure", "the node needs 4000 cores")


def test_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = [*checks._debian_programs()]
    assert {check.status for check in found} == {"failure"}
    fixes = {check.name: check.fix for check in found}
    assert fixes["ip"] == "apt-get install --no-install-recommends iproute2"
    assert {"containerd", "runc", "iptables-restore", "unshare"} <= set(fixes)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("containerd github.com/containerd/containerd 1.5.9~ds1 1.5.9~ds1-2", "failure"),
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1", "ok"),
        ("containerd github.com/containerd/containerd/v2 v2.1.4 abc", "ok"),
        ("containerd without a version", "warning"),
    ],
)
def test_containerd_version_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, status: str
) -> None:
    program = tmp_path / "containerd"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert checks._version("containerd", (1, 6)).status == status


def test_missing_or_old_go_fails_if_programs_must_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = a_provider(tmp_path)
    go = tmp_path / "sdk" / "bin" / "go"
    go.parent.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(go.parent))
    assert checks._go(provider.programs, provider.built_programs).seen == "missing"
    go.write_text("")
    go.chmod(0o755)
    (tmp_path / "sdk" / "VERSION").write_text("go1.20.1\n")
    check = checks._go(provider.programs, provider.built_programs)
    assert (check.status, check.seen) == ("failure", "go 1.20.1")
    assert "etcd" in check.why
