"""Owns what the integration tests share: one API server for all that need one, and namespaces in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from installer.adapters.kube import Kube
from tests.integration.apiserver import ApiServer, running


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def kube(apiserver: ApiServer) -> Kube:
    return Kube(apiserver.kubeconfig)


@pytest.fixture
def namespace(kube: Kube) -> str:
    """The test's own. It stays: nothing here finishes namespaces, and the server is thrown away."""
    name = f"test-{secrets.token_hex(4)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
