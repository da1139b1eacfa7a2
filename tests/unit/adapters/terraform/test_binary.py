"""The choice of the Terraform binary, and the errors if none fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.adapters.terraform import binary, find_binary
from mlops_platform.adapters.terraform.binary import identity, locate
from mlops_platform.base.errors import PreflightError


def program(path: Path, says: str, status: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def only_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLOPS_PLATFORM_TERRAFORM", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def test_variable_wins_over_terraform_over_tofu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tofu = program(tmp_path / "bin/tofu", "OpenTofu v1.12.6\non linux_amd64")
    assert (find_binary().path, find_binary().product, find_binary().version) == (tofu, "opentofu", "1.12.6")
    terraform = program(tmp_path / "bin/terraform", "Terraform v1.11.4\non linux_amd64\n\nNewer: 1.14.0")
    assert (find_binary().path, find_binary().product, find_binary().version) == (
        terraform,
        "terraform",
        "1.11.4",
    )
    other = program(tmp_path / "other", "\nWarning: no such configuration file\n\nOpenTofu v1.13.0-dev")
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", str(other))
    assert (find_binary().path, find_binary().version) == (other, "1.13.0-dev")


@pytest.mark.parametrize(
    "says",
    ["Terraform v0.11.14\n\nYour version of Terraform is out of date!", '{"terraform_version": "0.11.14"}'],
)
def test_old_version_is_an_error_that_names_it(tmp_path: Path, says: str) -> None:
    path = program(tmp_path / "bin/terraform", says)
    with pytest.raises(PreflightError, match=r"terraform 0\.11\.14 is too old: 1\.6 or newer") as caught:
        find_binary()
    assert str(path) in caught.value.why and caught.value.hint


def test_version_is_asked_once_per_file(tmp_path: Path) -> None:
    path = program(tmp_path / "bin/terraform", "Terraform v1.11.4")
    path.write_text(f"#!/bin/sh\necho x >>{tmp_path}/runs\necho Terraform v1.11.4\n")
    assert find_binary() == find_binary()
    assert (tmp_path / "runs").read_text() == "x\n"
    path.write_text(path.read_text() + "# another file\n")
    find_binary()
    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_binary_that_does_not_end_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "_SECONDS", 0.2)
    program(tmp_path / "bin/terraform", "").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(PreflightError, match="does not run") as caught:
        find_binary()
    assert "no end after" in caught.value.why


def test_missing_binary_is_an_error_with_a_hint() -> None:
    with pytest.raises(PreflightError, match=r"^terraform: no such program") as caught:
        find_binary()
    assert "MLOPS_PLATFORM_TERRAFORM" in caught.value.hint


def test_variable_without_a_binary_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PLATFORM_TERRAFORM", "/nowhere/tofu")
    with pytest.raises(PreflightError, match="MLOPS_PLATFORM_TERRAFORM=/nowhere/tofu: no such program"):
        find_binary()


@pytest.mark.parametrize(
    ("says", "status", "what"),
    [
        ("hello", 0, "neither Terraform nor OpenTofu"),
        ("[]", 0, "neither Terraform nor OpenTofu"),
        ("no", 1, "does not run"),
    ],
)
def test_other_program_named_terraform_is_an_error(tmp_path: Path, says: str, status: int, what: str) -> None:
    program(tmp_path / "bin/terraform", says, status)
    with pytest.raises(PreflightError, match=what):
        find_binary()


def test_file_that_cannot_be_executed_is_an_error(tmp_path: Path) -> None:
    path = program(tmp_path / "bin/terraform", "")
    path.write_bytes(b"\x7fELF rubbish")
    with pytest.raises(PreflightError, match="does not run"):
        find_binary()


def test_identity_changes_with_the_file(tmp_path: Path) -> None:
    path = program(tmp_path / "bin/terraform", "Terraform v1.11.4")
    before = identity(locate())
    assert identity(locate()) == before
    program(path, "Terraform v1.11.5 ")
    assert identity(locate()) != before
