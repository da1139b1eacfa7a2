"""Identities in Vault: a pod's service account reads its own secrets and no others."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault import VaultError
from mlops_platform.adapters.vault.session import login
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.catalogue.component import Component
from mlops_platform.steps.secrets.vault import policy, role

from tests.integration.apiserver import ApiServer
from tests.integration.vault.bao import LoopbackVault
from tests.integration.vault.conftest import account, new_namespace

pytestmark = pytest.mark.integration


def component(name: str) -> Component:
    return Component.model_validate(
        {
            "name": name,
            "layer": "data",
            "summary": "made by a test",
            "version": "1.0",
            "namespace": name,
            "embedded": {"image": name},
            "resources": {"cpu": "10m", "memory": "16Mi"},
        }
    )


@pytest.fixture(scope="module")
def apps(connection: LoopbackVault, kube: Kube) -> list[str]:
    """Three components with one secret each."""
    names = [new_namespace(kube) for _ in range(3)]
    keeper = component("keeper")
    with connection.session() as vault:
        for name in names:
            account(kube, name, name)
            account(kube, name, "default")
            vault.write(f"sys/policies/acl/platform-{name}", policy=policy(component(name), keeper))
            vault.write(f"auth/kubernetes/role/{name}", **role(component(name), keeper))
            vault.put(f"platform/{name}/admin", {"password": f"of-{name}"})
    return names


def test_component_reads_only_its_own_secrets(connection: LoopbackVault, apps: list[str]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name in apps:
        with (
            connection.open() as address,
            login(address, name, connection.token(name, name, "keeper")) as vault,
        ):
            for other in apps:
                try:
                    found = vault.get(f"platform/{other}/admin")
                    seen[name, other] = found.values["password"] if found else "nothing"
                except Exception as error:  # noqa: BLE001 - the type is checked below
                    seen[name, other] = type(error).__name__
    assert seen == {(a, b): f"of-{a}" if a == b else "Forbidden" for a in apps for b in apps}


def enter(connection: LoopbackVault, role: str, token: str) -> None:
    with connection.open() as address, login(address, role, token):
        pass


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda d, a: d.token(a[0], a[0], "https://kubernetes.default.svc"), id="wrong-audience"),
        pytest.param(lambda d, a: d.token(a[1], a[1], "keeper"), id="foreign-namespace"),
        pytest.param(lambda d, a: d.token(a[0], "default", "keeper"), id="default-account"),
        pytest.param(lambda d, a: d.token(a[0], a[0], "keeper")[:-8] + "AAAAAAAA", id="bad-signature"),
        pytest.param(lambda d, a: "nothing", id="no-token"),
    ],
)
def test_rejects_other_identities(
    connection: LoopbackVault, apps: list[str], token: Callable[[LoopbackVault, list[str]], str]
) -> None:
    enter(connection, apps[0], connection.token(apps[0], apps[0], "keeper"))
    with pytest.raises(VaultError) as caught:
        enter(connection, apps[0], token(connection, apps))
    assert caught.value.status in (400, 403)


def test_account_of_another_namespace_is_rejected(
    connection: LoopbackVault, kube: Kube, apps: list[str]
) -> None:
    elsewhere = new_namespace(kube)
    account(kube, elsewhere, apps[0])
    with pytest.raises(VaultError) as caught:
        enter(connection, apps[0], connection.token(elsewhere, apps[0], "keeper"))
    assert caught.value.status in (400, 403)


def test_token_is_rejected_after_its_account_is_deleted(
    connection: LoopbackVault, kube: Kube, apps: list[str]
) -> None:
    account(kube, apps[0], f"{apps[0]}-worker")
    token = connection.token(apps[0], f"{apps[0]}-worker", "keeper")
    enter(connection, apps[0], token)
    kube.delete("v1", "ServiceAccount", f"{apps[0]}-worker", apps[0])

    def refused() -> int | Pending:
        try:
            enter(connection, apps[0], token)
        except VaultError as error:
            return error.status
        return Pending("accepted")  # the API server caches token reviews for ten seconds

    assert wait_until("a rejection of the token", refused, seconds=60) in (400, 403)


def test_expired_token_is_rejected(apiserver: ApiServer, connection: LoopbackVault, apps: list[str]) -> None:
    """Signed by the cluster's key, so that only the time is wrong."""
    token = connection.token(apps[0], apps[0], "keeper")
    enter(connection, apps[0], resigned(apiserver, token, {}))
    past = int(time.time()) - 120
    with pytest.raises(VaultError) as caught:
        enter(
            connection,
            apps[0],
            resigned(apiserver, token, {"iat": past - 600, "nbf": past - 600, "exp": past}),
        )
    assert caught.value.status in (400, 403)


def resigned(apiserver: ApiServer, token: str, changes: dict[str, Any]) -> str:
    head, body, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    text = f"{head}.{_encoded(json.dumps({**claims, **changes}).encode())}"
    key = serialization.load_pem_private_key((apiserver.folder / "pki/accounts.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{_encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_session_revokes_its_token(connection: LoopbackVault) -> None:
    with connection.session() as vault:
        token = vault.client.token
        assert vault.client.is_authenticated()
    with connection.session() as vault:
        vault.client.token, own = token, vault.client.token
        assert not vault.client.is_authenticated()
        vault.client.token = own
