"""Access of a pod to Vault: login with the pod's own token, database passwords that stay current.

    from platform_vault import database_password, follow, read
    follow(engine)      # SQLAlchemy: every new connection has the password of now
    read("secret/data/platform/app/key")["data"]

Standard library only: it is in the Python base image, for all programs there. The pod needs `identity` in its
chart values; environment variables can change Vault's address and the mount of the token.
"""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_ADDRESS, _TOKEN = "http://vault.vault.svc:8200", "/run/secrets/identity/token"
_SECONDS = 10
_PATIENCE_SECONDS = 30.0  # a store that restarts answers again in a second
_EARLY = 0.8  # of a login's life, after which it is not used any more
_REFUSALS = ("password authentication failed", "no password supplied")  # as libpq says it in English

_lock = threading.Lock()
_login: tuple[str, float] = ("", 0.0)
_password = ""


class Refused(Exception):
    """The store's answer was an error; `status` is HTTP's, 0 when there was no answer."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{status} {what}")
        self.status = status


def component() -> str:
    """The name of this pod's role: its namespace."""
    return _claims()["kubernetes.io"]["namespace"]  # type: ignore[no-any-return]


def _claims() -> dict[str, Any]:
    """The claims of the pod's own token; they are not verified, and no decision depends on them."""
    import base64

    middle = _identity().split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


def _identity() -> str:
    return Path(os.environ.get("PLATFORM_IDENTITY", _TOKEN)).read_text().strip()


def login() -> str:
    """A token of the store's, kept for most of its life. Raises Refused."""
    global _login
    with _lock:
        token, until = _login
        if time.monotonic() < until:
            return token
        body = {"role": component(), "jwt": _identity()}
        auth = _ask("POST", "auth/kubernetes/login", body)["auth"]
        _login = (auth["client_token"], time.monotonic() + auth["lease_duration"] * _EARLY)
        return _login[0]


def read(path: str) -> dict[str, Any]:
    """Read `data` of a path below /v1/; log in again once if the token was revoked. Raises Refused."""
    global _login
    try:
        found = _ask("GET", path, token=login())
    except Refused as error:
        if error.status != 403:
            raise
        with _lock:
            _login = ("", 0.0)
        found = _ask("GET", path, token=login())
    data: dict[str, Any] = found["data"]
    return data


def database_password() -> str:
    """The password of this component's database role, of now."""
    return str(read(f"database/static-creds/{component()}")["password"])


def follow(engine: Any) -> None:
    """Let each new connection of a SQLAlchemy engine use the password at hand; once refused, the new one.

    Open connections live on when a password is changed, so a pool survives a rotation.
    https://docs.sqlalchemy.org/en/20/core/engines.html#generating-dynamic-authentication-tokens
    """
    from sqlalchemy import event

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]) -> Any:
        global _password
        at_hand = _password or database_password()
        try:
            made = dialect.connect(*arguments, **{**parameters, "password": at_hand})
        except dialect.loaded_dbapi.OperationalError as error:
            if not any(text in str(error) for text in _REFUSALS):
                raise
            at_hand = database_password()
            made = dialect.connect(*arguments, **{**parameters, "password": at_hand})
        _password = at_hand
        return made


def _ask(method: str, path: str, body: object = None, token: str = "") -> dict[str, Any]:
    """Send one request; retry for a while if Vault does not answer or is being unsealed."""
    address = os.environ.get("VAULT_ADDR", _ADDRESS)
    headers = {"X-Vault-Request": "true", **({"X-Vault-Token": token} if token else {})}
    data = json.dumps(body).encode() if body is not None else None
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        request = urllib.request.Request(f"{address}/v1/{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            refused = Refused(error.code, error.read().decode(errors="replace").strip())
        except OSError as error:
            refused = Refused(0, str(error))
        if refused.status not in (0, 503) or time.monotonic() > until:
            raise refused
        threading.Event().wait(0.2)
