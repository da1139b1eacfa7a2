"""A Helm for each test: the real program, its own files, the shared API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlops_platform.adapters.helm import HELM, KUSTOMIZE, Helm
from mlops_platform.adapters.kube import Kube

from tests.integration.apiserver import ApiServer, built


@pytest.fixture(scope="session")
def helm_binary() -> Path:
    return built(HELM) / "helm"


@pytest.fixture(autouse=True)
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's home unchanged by tests that run Helm themselves."""
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "home" / "kube"))
    for kind in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"HELM_{kind}_HOME", str(tmp_path / "home" / kind.lower()))


@pytest.fixture
def make_helm(helm_binary: Path, apiserver: ApiServer, kube: Kube, tmp_path: Path) -> Callable[[], Helm]:
    """A function that makes an adapter on the same folders, like another command line."""
    return lambda: Helm(
        lambda: helm_binary,
        apiserver.kubeconfig,
        tmp_path / "helm",
        cache=tmp_path / "cache",
        kube=kube,
        kustomize=lambda progress, cancel: built(KUSTOMIZE) / "kustomize",
    )


@pytest.fixture
def helm(make_helm: Callable[[], Helm]) -> Helm:
    return make_helm()
