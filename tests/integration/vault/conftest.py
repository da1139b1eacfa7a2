"""Vault servers of these tests; tests that only use one share it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault.connection import INSTALLER
from mlops_platform.adapters.vault.setup import Requests, set_up
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths

from tests.integration.apiserver import ApiServer
from tests.integration.vault.bao import Bao, LoopbackVault

FOLDER = Paths.default().assets / "helm-values" / "vault"


def account(kube: Kube, namespace: str, name: str) -> None:
    meta = {"name": name, "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})


def new_namespace(kube: Kube) -> str:
    name = f"test-{secrets.token_hex(4)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def reviewer(kube: Kube) -> str:
    """A token for TokenReview; in a pod it is the pod's own token."""
    namespace = new_namespace(kube)
    account(kube, namespace, "reviewer")
    kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{namespace}-reviewer"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:auth-delegator",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "reviewer", "namespace": namespace}],
        }
    )
    return kube.token(namespace, "reviewer", seconds=3600)


def requests(apiserver: ApiServer, reviewer: str, namespace: str) -> Requests:
    """The shipped bootstrap requests, for this API server and this namespace."""
    bootstrap = {x["path"]: dict(x["data"]) for x in json.loads((FOLDER / "bootstrap.json").read_text())}
    bootstrap["auth/kubernetes/config"] = {
        "kubernetes_host": f"https://127.0.0.1:{apiserver.port}",
        "kubernetes_ca_cert": (apiserver.folder / "pki" / "ca.crt").read_text(),
        "token_reviewer_jwt": reviewer,
        "disable_local_ca_jwt": True,
    }
    role = bootstrap[f"auth/kubernetes/role/{INSTALLER}"]
    role |= {"bound_service_account_namespaces": [namespace], "audience": "keeper"}
    policy = {"policy": (FOLDER / "installer.hcl").read_text()}
    return [*bootstrap.items(), (f"sys/policies/acl/{INSTALLER}", policy)]


@pytest.fixture
def bao(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bao]:
    """A new running server; the parameter is whether it has a static seal."""
    made = Bao.make(tmp_path / "bao", static=getattr(request, "param", True))
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.fixture(scope="session")
def connection(
    apiserver: ApiServer, kube: Kube, reviewer: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LoopbackVault]:
    """A configured Vault with secret versions and login by service accounts."""
    made = Bao.make(tmp_path_factory.mktemp("bao") / "bao", static=True)
    made.start()
    try:
        namespace = new_namespace(kube)
        account(kube, namespace, INSTALLER)
        led = LoopbackVault(kube, namespace, made)
        set_up(led, requests(apiserver, reviewer, namespace), Cancel())
        with led.session() as vault:
            vault.client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
        yield led
    finally:
        made.kill()
