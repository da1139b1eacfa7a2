"""A session with Vault: paths of its API, and versions of secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import hvac
import requests
from hvac.exceptions import InvalidPath, InvalidRequest
from hvac.exceptions import VaultError as Refusal

from mlops_platform.adapters.vault.errors import VaultError

KV = "secret"
_SECONDS = 30
_STATUS = {
    "Forbidden": 403,
    "InvalidPath": 404,
    "InvalidRequest": 400,
    "VaultDown": 503,
    "RateLimitExceeded": 429,
}


@dataclass(frozen=True)
class Kept:
    """One version of a secret: its values, its number (from 1) and the time it was written."""

    values: Mapping[str, str]
    version: int
    when: datetime


class Vault:
    """A session. Paths are without /v1/; errors leave the block of `login` as VaultError."""

    def __init__(self, client: hvac.Client) -> None:
        self.client = client

    def read(self, path: str) -> dict[str, Any] | None:
        """Read `data` at a path; None if there is none."""
        found = self.client.read(path)
        data: dict[str, Any] | None = found["data"] if found else None
        return data

    def write(self, path: str, **data: Any) -> dict[str, Any]:
        """Write a path; return `data` of the answer, empty if it has none."""
        answer = self.client.write_data(path, data=data)
        if isinstance(answer, requests.Response):  # hvac returns the response itself if it has no content
            return {}
        found: dict[str, Any] = (answer or {}).get("data") or {}
        return found

    def remove(self, path: str) -> None:
        self.client.delete(path)

    def mounts(self) -> frozenset[str]:
        """List names of secrets engines, without the slash."""
        return frozenset(name.rstrip("/") for name in self.client.sys.list_mounted_secrets_engines()["data"])

    def history(self, path: str) -> tuple[int, datetime] | None:
        """Return the number of the newest version and the time it was written, without its values."""
        try:
            found = self.client.secrets.kv.v2.read_secret_metadata(path, mount_point=KV)["data"]
        except InvalidPath:
            return None
        return int(found["current_version"]), datetime.fromisoformat(found["updated_time"])

    def get(self, path: str, version: int | None = None) -> Kept | None:
        """Read a version of a secret (default: the newest); None if there is none."""
        try:
            found = self.client.secrets.kv.v2.read_secret_version(
                path, version=version, mount_point=KV, raise_on_deleted_version=True
            )["data"]
        except InvalidPath:
            return None
        meta = found["metadata"]
        return Kept(found["data"], int(meta["version"]), datetime.fromisoformat(meta["created_time"]))

    def put(self, path: str, values: Mapping[str, str], *, first: bool = False) -> int:
        """Write a new version, return its number. With `first` only if there is none yet, else return 0."""
        try:
            made = self.client.secrets.kv.v2.create_or_update_secret(
                path, dict(values), cas=0 if first else None, mount_point=KV
            )
        except InvalidRequest as error:
            if first and "check-and-set" in str(error):
                return 0
            raise
        return int(made["data"]["version"])

    def forget(self, path: str) -> None:
        """Delete all versions of a secret."""
        self.client.secrets.kv.v2.delete_metadata_and_all_versions(path, mount_point=KV)


@contextmanager
def login(
    address: str, role: str, identity: str, redact: Callable[[str], None] = lambda _: None
) -> Iterator[Vault]:
    """Log in with a service account's token; revoke Vault's token at the end. Raises VaultError."""
    with client(address) as api:
        answer = api.auth.kubernetes.login(role, identity)
        redact(answer["auth"]["client_token"])
        try:
            yield Vault(api)
        finally:
            api.auth.token.revoke_self()


@contextmanager
def client(address: str, token: str = "") -> Iterator[hvac.Client]:
    """A client of hvac whose errors become VaultError. It ignores proxies and tokens of the user."""
    with requests.Session() as connections:
        connections.trust_env = False
        api = hvac.Client(address, token=token, timeout=_SECONDS, session=connections, namespace="")
        if not token:
            api.token = None
        try:
            yield api
        except Refusal as error:
            raise _refused(error) from error
        except requests.RequestException as error:
            raise VaultError("the secret store does not answer", status=0, why=str(error)) from error


def _refused(error: Refusal) -> VaultError:
    """The error with Vault's messages, which are in `errors`; hvac's text repeats the request's address."""
    status = _STATUS.get(type(error).__name__, 500)
    words = "; ".join(str(each).strip() for each in error.errors or []) or str(error)
    path = str(error.url or "").partition("/v1/")[2]
    return VaultError(
        f"the secret store refused {error.method or ''} {path}".strip(), status=status, why=words
    )
