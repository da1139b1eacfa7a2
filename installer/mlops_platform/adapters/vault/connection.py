"""Owns reaching the secret store: is it there and open; and sessions, whose tokens end with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.forward import forward
from mlops_platform.adapters.vault.errors import VaultError

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault

INSTALLER = "mlops-platform"  # its account in the store's namespace, its role and its policy in the store
_SECONDS = 15.0


@dataclass(frozen=True)
class Health:
    """What the store says of itself to anybody. `cluster` is the id of its data, '' while it is sealed."""

    initialized: bool
    sealed: bool
    seal: str
    cluster: str
    version: str


class VaultConnection:
    """One store: Service `name` in `namespace`. `redact` gets every token that the server issues."""

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        port: int,
        redact: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.kube, self.namespace, self.name = kube, namespace, name
        self._port, self._redact = port, redact

    @contextmanager
    def open(self) -> Iterator[str]:
        """Its address here, for as long as the block runs. Raises StepError when no pod of it is ready."""
        with forward(self.kube, self.namespace, f"service/{self.name}", self._port) as address:
            yield f"http://{address}"

    def health(self) -> Health:
        """Asked without a token, and without hvac. Raises VaultError when it does not answer."""
        with self.open() as address:
            return health(address)

    @contextmanager
    def session(self) -> Iterator[Vault]:
        """A session of the installer's; what goes wrong in the block is a VaultError."""
        from mlops_platform.adapters.vault.session import login

        with self.open() as address, login(address, INSTALLER, self.identity(), self._redact) as vault:
            yield vault

    def identity(self) -> str:
        """A token of our account, for the store and nobody else.

        https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
        """
        return self.token(self.namespace, INSTALLER, self.name)

    def token(self, namespace: str, account: str, audience: str) -> str:
        """A token of an account of the cluster for somebody, as the kubelet would give a pod."""
        found = self.kube.token(namespace, account, audience)
        self._redact(found)
        return found


def health(address: str) -> Health:
    """https://openbao.org/api-docs/system/seal-status/"""
    try:
        answer = urllib3.request(
            "GET", f"{address}/v1/sys/seal-status", timeout=_SECONDS, retries=urllib3.Retry(2)
        )
        said = json.loads(answer.data)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise VaultError("the secret store does not answer", status=0, why=str(error)) from error
    return Health(
        initialized=bool(said.get("initialized")),
        sealed=bool(said.get("sealed")),
        seal=str(said.get("type", "")),
        cluster=str(said.get("cluster_id", "")),
        version=str(said.get("version", "")),
    )
