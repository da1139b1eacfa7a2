"""The first setup of a Vault that is not configured: initialize, unseal, configure, revoke the root token.

The steps are not atomic. So the only answer that has the root token and the keys is stored in a Kubernetes
Secret at once, and the next run continues from there; the root token is removed from it at the end.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault.connection import Health, VaultConnection, health
from mlops_platform.adapters.vault.errors import VaultError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import OWNED

_SHAMIR = "shamir"
_OPEN_SECONDS = 60.0
Requests = Sequence[tuple[str, Mapping[str, Any]]]


def set_up(connection: VaultConnection, requests: Requests, cancel: Cancel) -> None:
    """Set up a Vault until our account can log in; nothing to do if it can. Raises VaultError.

    `requests` are paths and the data to write there with the root token.
    """
    with connection.open() as address:
        if not health(address).initialized:
            _initialize(connection, address)
        kept = _kept(connection)
        _open(connection, address, kept, cancel)
        if kept.get("root"):
            _configure(address, kept["root"], requests, cancel)
            _keep(connection, {key: value for key, value in kept.items() if key != "root"})


def _secret(connection: VaultConnection) -> str:
    return f"{connection.name}-recovery"


def _initialize(connection: VaultConnection, address: str) -> None:
    """Initialize with one key share (all would be in one Secret), or recovery keys for an auto-unseal."""
    from mlops_platform.adapters.vault.session import client  # imported at use: start-up time

    with client(address) as api:
        if health(address).seal == _SHAMIR:
            made = api.sys.initialize(secret_shares=1, secret_threshold=1)
        else:
            made = api.sys.initialize(
                secret_shares=None, secret_threshold=None, recovery_shares=1, recovery_threshold=1
            )
    keys = made.get("keys_base64") or []
    recovery = made.get("recovery_keys_base64") or []
    held = {"root": made["root_token"], "unseal": "".join(keys), "recovery": "".join(recovery)}
    _keep(connection, {key: value for key, value in held.items() if value})


def _open(connection: VaultConnection, address: str, kept: Mapping[str, str], cancel: Cancel) -> None:
    """Unseal, and wait until Vault is active: it takes a moment until it accepts requests."""
    from mlops_platform.adapters.vault.session import client  # imported at use: start-up time

    def opened() -> bool | Pending:
        now = health(address)
        if now.sealed and now.seal == _SHAMIR and kept.get("unseal"):
            with client(address) as api:
                api.sys.submit_unseal_key(kept["unseal"])
            return Pending("being unsealed")
        if now.sealed:
            return Pending("sealed")
        with client(address) as api:
            status = api.sys.read_health_status(method="GET", standby_ok=True)
        return True if getattr(status, "status_code", 200) == 200 else Pending("not active yet")

    first = health(address)
    if first.sealed and first.seal == _SHAMIR and not kept.get("unseal"):
        raise sealed(connection, first)
    if first.sealed and first.seal != _SHAMIR and not kept.get("root"):
        return  # it unseals itself; the readiness wait reports if it does not
    wait_until("the secret store opens", opened, seconds=_OPEN_SECONDS, cancel=cancel)


def _configure(address: str, root: str, requests: Requests, cancel: Cancel) -> None:
    """Do all that needs the root token, then revoke it. After a kill the next run repeats all of it."""
    from hvac.exceptions import InternalServerError  # imported at use: start-up time

    from mlops_platform.adapters.vault.session import Vault, client  # imported at use: start-up time

    with client(address, root) as api:
        vault = Vault(api)

        def audited() -> bool | Pending:
            """Under load, a server that is active answers sys/audit with 500 until its tables are read."""
            try:
                if not api.sys.list_enabled_audit_devices()["data"]:
                    api.sys.enable_audit_device("file", options={"file_path": "stdout"})
            except InternalServerError as error:
                return Pending(str(error))
            return True

        wait_until("Vault's audit log", audited, seconds=_OPEN_SECONDS, cancel=cancel)
        mounted = api.sys.list_auth_methods()["data"]
        for path, data in requests:
            if path.removeprefix("sys/auth/") + "/" not in mounted:
                vault.write(path, **data)
        api.auth.token.revoke_self()


def sealed(connection: VaultConnection, seen: Health) -> VaultError:
    """The error of a Vault that stays sealed, with the command that unseals it."""
    if seen.seal == _SHAMIR:
        why = f"it restarted, and Secret {_secret(connection)} does not hold its unseal key"
        hint = "unseal it with the key you keep; then run up again"
        verb: tuple[str, ...] = (
            "exec",
            "--stdin",
            "--tty",
            f"{connection.name}-0",
            "--",
            "bao",
            "operator",
            "unseal",
        )
    else:
        why = f"its key is not the one its data was sealed with, or its {seen.seal} seal cannot be reached"
        hint = (
            f"restore the Secret {connection.name}-seal from your backup, delete the pod and run up again; "
            "without that key the data is lost, see docs/operations.md"
        )
        verb = ("logs", f"{connection.name}-0", "--tail=20")
    command = connection.kube.kubectl("--namespace", connection.namespace, *verb)
    return VaultError("the secret store is sealed", status=503, why=why, hint=hint, command=command)


def _kept(connection: VaultConnection) -> dict[str, str]:
    found = connection.kube.get("v1", "Secret", _secret(connection), connection.namespace) or {}
    return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}


def _keep(connection: VaultConnection, values: Mapping[str, str]) -> None:
    kube: Kube = connection.kube
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _secret(connection), "namespace": connection.namespace, "labels": OWNED},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }
    )
