"""Initialization of a Vault without self-initialization, also after kills."""

from __future__ import annotations

import base64

import hvac
import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault import VaultError, setup
from mlops_platform.adapters.vault.connection import INSTALLER
from mlops_platform.adapters.vault.setup import set_up
from mlops_platform.base.cancel import Cancel

from tests.integration.apiserver import ApiServer
from tests.integration.vault.bao import Bao, LoopbackVault
from tests.integration.vault.conftest import account, requests

pytestmark = pytest.mark.integration


def kept(kube: Kube, namespace: str) -> dict[str, str]:
    found = kube.get("v1", "Secret", "keeper-recovery", namespace)
    return {k: base64.b64decode(v).decode() for k, v in ((found or {}).get("data") or {}).items()}


@pytest.mark.parametrize(
    ("bao", "key"), [(True, "recovery"), (False, "unseal")], indirect=["bao"], ids=["static", "shamir"]
)
def test_vault_is_initialized_and_root_token_revoked(
    bao: Bao, key: str, apiserver: ApiServer, kube: Kube, reviewer: str, namespace: str
) -> None:
    account(kube, namespace, INSTALLER)
    connection, bootstrap = LoopbackVault(kube, namespace, bao), requests(apiserver, reviewer, namespace)
    setup._initialize(connection, bao.address)  # as after a kill directly after the initialization
    root = kept(kube, namespace)["root"]
    set_up(connection, bootstrap, Cancel())
    assert kept(kube, namespace).keys() == {key}
    assert not hvac.Client(bao.address, token=root).is_authenticated()
    with connection.session() as vault:
        assert INSTALLER in vault.client.auth.token.lookup_self()["data"]["policies"]
        with pytest.raises(hvac.exceptions.Forbidden):
            vault.write(f"auth/kubernetes/role/{INSTALLER}", token_policies=["root"])
    set_up(connection, bootstrap, Cancel())  # nothing to do
    bao.kill()
    bao.start()
    set_up(connection, bootstrap, Cancel())
    with connection.session() as vault:
        assert vault.mounts()
    assert '"type":"request"' in bao.log and root not in bao.log
    assert all(value not in bao.log for value in kept(kube, namespace).values())


def test_lost_seal_key_is_reported(bao: Bao, kube: Kube, namespace: str) -> None:
    account(kube, namespace, INSTALLER)
    connection = LoopbackVault(kube, namespace, bao)
    setup._initialize(connection, bao.address)
    bao.kill()
    (bao.folder / "key").write_bytes(b"x" * 32)
    bao.start()
    seen = connection.health()
    assert seen.initialized and seen.sealed
    error = setup.sealed(connection, seen)
    assert "sealed" in error.what and "Secret keeper-seal" in error.hint and namespace in error.command
    with pytest.raises(VaultError) as caught, connection.session():
        pass
    assert caught.value.status == 503 and "sealed" in caught.value.why


@pytest.mark.parametrize("bao", [False], indirect=True)
def test_lost_unseal_share_is_reported(bao: Bao, kube: Kube, namespace: str) -> None:
    connection = LoopbackVault(kube, namespace, bao)
    setup._initialize(connection, bao.address)
    kube.delete("v1", "Secret", "keeper-recovery", namespace)
    with pytest.raises(VaultError, match="sealed") as caught:
        set_up(connection, [], Cancel())
    assert "keeper-recovery" in caught.value.why
