"""Generated Secrets on a real API server: created once, never overwritten, digests."""

from __future__ import annotations

import threading

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.catalogue.needs import SecretNeed
from mlops_platform.run.secrets import KubernetesSecrets

pytestmark = pytest.mark.integration

NEED = SecretNeed(keys=["password", "token"], fixed={"user": "admin"}, bytes=32)


@pytest.fixture
def source(kube: Kube) -> KubernetesSecrets:
    return KubernetesSecrets(kube)


def test_every_key_has_its_own_random_value(source: KubernetesSecrets, namespace: str) -> None:
    source.ensure(namespace, "app-admin", NEED)
    found = source.read(namespace, "app-admin")
    assert found.keys() == {"user", "password", "token"} and found["user"] == "admin"
    assert len(found["password"]) >= 32 and found["password"] != found["token"]
    assert source.names(namespace) == {"app-admin"}


def test_existing_secret_is_not_overwritten(source: KubernetesSecrets, namespace: str) -> None:
    source.ensure(namespace, "app-admin", NEED)
    before = source.read(namespace, "app-admin")
    source.ensure(namespace, "app-admin", NEED)
    assert source.read(namespace, "app-admin") == before


def test_two_runs_create_one_secret(source: KubernetesSecrets, namespace: str) -> None:
    seen: list[str] = []

    def make() -> None:
        source.ensure(namespace, "app-admin", NEED)
        seen.append(source.read(namespace, "app-admin")["password"])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1


def test_write_replaces_all_keys(source: KubernetesSecrets, namespace: str) -> None:
    source.write(namespace, "account", {"host": "old", "port": "1"})
    source.write(namespace, "account", {"host": "new"})
    assert source.read(namespace, "account") == {"host": "new"}
    source.delete(namespace, "account")
    assert source.read(namespace, "account") == {}
    source.delete(namespace, "account")


def test_digest_changes_with_the_values(source: KubernetesSecrets, namespace: str) -> None:
    source.write(namespace, "one", {"key": "value"})
    before = source.digest(namespace, ["one", "missing"])
    assert before == source.digest(namespace, ["missing", "one"])
    source.write(namespace, "one", {"key": "other"})
    assert before != source.digest(namespace, ["one", "missing"])
    assert "other" not in before


def test_foreign_secrets_are_not_listed(source: KubernetesSecrets, kube: Kube, namespace: str) -> None:
    kube.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs", "namespace": namespace}}
    )
    assert source.names(namespace) == frozenset()
