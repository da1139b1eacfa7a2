"""Owns which Kubernetes the host cluster runs: the one its tool module pins."""

from __future__ import annotations

import re
from pathlib import Path

from mlops_platform.adapters.programs import Program
from mlops_platform.base.errors import ConfigurationError, Problem

KUBERNETES = Program("kubernetes", Path(__file__).resolve().parent / "programs" / "kubernetes")


def require_pinned_version(version: str | None, environment: str) -> None:
    """Raises ConfigurationError for a Kubernetes version that is not the one pinned here."""
    pinned = kubernetes_version()
    if version is not None and version.removeprefix("v") != pinned:
        what = f"cluster.version: the host cluster has no Kubernetes {version}"
        raise ConfigurationError((Problem(f"{environment}.yaml", 0, what, f"leave it out, or say {pinned}"),))


def kubernetes_version() -> str:
    """'1.35.4', from the tool module."""
    text = (KUBERNETES.module / "go.mod").read_text()
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", text, re.MULTILINE)
    assert found, "the tool module pins k8s.io/kubernetes"
    return found[1]
