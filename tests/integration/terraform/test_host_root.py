"""The host root with a stand-in for its interpreter, so that no node starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mlops_platform.adapters.terraform import Terraform
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent

pytestmark = pytest.mark.integration


def interpreter(file: Path) -> Path:
    """A program that appends its arguments to a file beside it."""
    file.write_text('#!/bin/sh\necho "$@" >> "$0.calls"\n')
    file.chmod(0o755)
    return file


def test_destroy_uses_the_interpreter_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual environment that made the node may have been removed since."""
    first, today = interpreter(tmp_path / "first"), interpreter(tmp_path / "today")
    variables = {
        "name": "test",
        "config": "/nowhere/node.json",
        "python": str(first),
        "fingerprint": "abc",
        "endpoint": "https://10.77.0.2:6443",
        "kubeconfig": "/nowhere/kubeconfig",
        "storage_class": "standard",
    }
    terraform = Terraform(Paths.default().assets / "terraform/host", tmp_path / "terraform")
    terraform.apply(variables, Silent(), Cancel())
    assert "start --config /nowhere/node.json" in (tmp_path / "first.calls").read_text()
    first.unlink()
    monkeypatch.setattr(sys, "executable", str(today))
    terraform.destroy(variables, Silent(), Cancel())
    assert "stop --config /nowhere/node.json" in (tmp_path / "today.calls").read_text()
