"""The API server and the node that the integration tests share."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from mlops_platform.adapters.kube import Kube

from tests.integration.apiserver import ApiServer, running
from tests.integration.node import Node, running_node


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def kube(apiserver: ApiServer) -> Kube:
    return Kube(apiserver.kubeconfig)


@pytest.fixture
def namespace(kube: Kube) -> str:
    """A new namespace. It stays, because no controller deletes namespaces here."""
    name = f"test-{secrets.token_hex(4)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that runs pods; it starts slower than `apiserver`."""
    with running_node("inode", tmp_path_factory.mktemp("node")) as running:
        yield running
