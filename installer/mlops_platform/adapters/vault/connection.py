"""The connection to Vault: its health, and sessions whose tokens end with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault.errors import VaultError

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault

INSTALLER = "mlops-platform"  # the service account in Vault's namespace, the role and the policy in Vault
_SECONDS = 15.0


@dataclass(frozen=True)
class Health:
    """The public status of Vault. `cluster` is the id of its data, '' while it is sealed."""

    initialized: bool
    sealed: bool
    seal: str
    cluster: str
    version: str


class VaultConnection:
    """One Vault: Service `name` in `namespace`. `redact` gets every token that the API server issues."""

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
        """Open a forward for the block; yields the URL. Raises StepError if no pod is ready."""
        # Loads wsproto: imported at use, for start-up time.
        from mlops_platform.adapters.kube.forward import forward

        with forward(self.kube, self.namespace, f"service/{self.name}", self._port) as address:
            yield f"http://{address}"

    def health(self) -> Health:
        """Ask for the health without a token or hvac. Raises VaultError without an answer."""
        with self.open() as address:
            return health(address)

    @contextmanager
    def session(self) -> Iterator[Vault]:
        """Open a session of the installer; errors of hvac in the block become VaultError."""
        from mlops_platform.adapters.vault.session import login  # imported at use: start-up time

        with self.open() as address, login(address, INSTALLER, self.identity(), self._redact) as vault:
            yield vault

    def identity(self) -> str:
        """A token of our service account with Vault as its only audience."""
        return self.token(self.namespace, INSTALLER, self.name)

    def token(self, namespace: str, account: str, audience: str) -> str:
        """A token of a service account for one audience, as the kubelet gives one to a pod."""
        found = self.kube.token(namespace, account, audience)
        self._redact(found)
        return found


def health(address: str) -> Health:
    """Ask Vault for its status: https://openbao.org/api-docs/system/seal-status/."""
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
