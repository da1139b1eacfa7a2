"""Secrets in Vault: created once, taken from the cluster, mirrored, without needless requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault.session import Vault
from mlops_platform.catalogue.needs import SecretNeed
from mlops_platform.run.secrets import KubernetesSecrets, VaultSecrets, kv_path

from tests.integration.vault.bao import LoopbackVault

pytestmark = pytest.mark.integration

NEED = SecretNeed(keys=["password"], fixed={"user": "admin"})


class Counted:
    """Counts the sessions of a Vault; a no-op opens none."""

    def __init__(self, connection: LoopbackVault) -> None:
        self._connection, self.count = connection, 0

    @contextmanager
    def session(self) -> Iterator[Vault]:
        self.count += 1
        with self._connection.session() as vault:
            yield vault


@pytest.fixture
def mirror(kube: Kube) -> KubernetesSecrets:
    return KubernetesSecrets(kube)


@pytest.fixture
def sessions(connection: LoopbackVault) -> Counted:
    return Counted(connection)


@pytest.fixture
def source(mirror: KubernetesSecrets, sessions: Counted) -> VaultSecrets:
    return VaultSecrets(mirror, sessions.session, "keeper")


def kept(connection: LoopbackVault, namespace: str, name: str) -> tuple[dict[str, str], int]:
    with connection.session() as vault:
        found = vault.get(kv_path(namespace, name))
    assert found
    return dict(found.values), found.version


def test_secret_is_created_once_in_vault_and_mirrored(
    source: VaultSecrets,
    mirror: KubernetesSecrets,
    connection: LoopbackVault,
    sessions: Counted,
    namespace: str,
) -> None:
    name = f"{namespace}-admin"
    source.ensure(namespace, name, NEED)
    values, version = kept(connection, namespace, name)
    assert mirror.read(namespace, name) == values and mirror.version(namespace, name) == version == 1
    asked = sessions.count
    source.ensure(namespace, name, NEED)
    assert source.names(namespace) == {name} and source.read(namespace, name) == values
    assert source.digest(namespace, [name]) == mirror.digest(namespace, [name])
    assert sessions.count == asked, "Vault was called although nothing has changed"


def test_existing_secret_of_the_cluster_is_copied_to_vault(
    source: VaultSecrets, mirror: KubernetesSecrets, connection: LoopbackVault, namespace: str
) -> None:
    name = f"{namespace}-admin"
    mirror.ensure(namespace, name, NEED)
    before = mirror.read(namespace, name)
    assert source.names(namespace) == frozenset()
    source.ensure(namespace, name, NEED)
    assert kept(connection, namespace, name) == (before, 1)
    assert mirror.read(namespace, name) == before and source.names(namespace) == {name}


def test_deleted_mirror_is_restored_with_the_same_values(
    source: VaultSecrets, mirror: KubernetesSecrets, namespace: str
) -> None:
    name = f"{namespace}-admin"
    source.ensure(namespace, name, NEED)
    before = mirror.read(namespace, name)
    mirror.delete(namespace, name)
    source.ensure(namespace, name, NEED)
    assert mirror.read(namespace, name) == before


def test_two_runs_store_one_value(
    source: VaultSecrets, mirror: KubernetesSecrets, connection: LoopbackVault, namespace: str
) -> None:
    name = f"{namespace}-admin"
    failed: list[BaseException] = []

    def make() -> None:
        try:
            source.ensure(namespace, name, NEED)
        except BaseException as error:  # noqa: BLE001 - reported below
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    values, version = kept(connection, namespace, name)
    assert version == 1 and mirror.read(namespace, name) == values


def test_same_value_is_no_new_version(
    source: VaultSecrets, connection: LoopbackVault, namespace: str
) -> None:
    name = f"{namespace}-account"
    for values in ({"host": "a"}, {"host": "a"}, {"host": "b"}):
        source.write(namespace, name, values)
    assert kept(connection, namespace, name) == ({"host": "b"}, 2)
    source.delete(namespace, name)
    assert source.read(namespace, name) == {}
    with connection.session() as vault:
        assert vault.get(kv_path(namespace, name)) is None


def test_secrets_of_vault_itself_are_only_in_the_cluster(
    source: VaultSecrets, mirror: KubernetesSecrets, sessions: Counted, kube: Kube
) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keeper"}})
    source.ensure("keeper", "keeper-seal", NEED)
    assert mirror.version("keeper", "keeper-seal") == 0 and source.names("keeper") == {"keeper-seal"}
    assert sessions.count == 0
