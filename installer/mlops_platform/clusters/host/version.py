"""The Kubernetes version of the host cluster, which its tool module pins."""

from __future__ import annotations

import re
from pathlib import Path

from mlops_platform.adapters.programs import Program
from mlops_platform.base.errors import ConfigurationError, Problem

KUBERNETES = Program("kubernetes", Path(__file__).resolve().parent / "programs" / "kubernetes")


def require_pinned_version(version: str | None, environment: str) -> None:
    """Raise ConfigurationError for a Kubernetes version that is not pinned here."""
    pinned = kubernetes_version()
    if version is not None and version.removeprefix("v") != pinned:
        what = f"cluster.version: the host cluster has no Kubernetes {version}"
        raise ConfigurationError(
            (Problem(f"{environment}.yaml", 0, what, f"remove it, or set it to {pinned}"),)
        )


def kubernetes_version() -> str:
    """The pinned version, such as '1.35.4'."""
    text = (KUBERNETES.module / "go.mod").read_text()
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", text, re.MULTILINE)
    assert found, "the tool module pins k8s.io/kubernetes"
    return found[1]
