"""Secrets: random, made once, read by name; components and steps use this interface with or without Vault."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Protocol

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import OWNED
from mlops_platform.catalogue.needs import SecretNeed

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault

KEPT = "mlops-platform/version"  # annotation of a Secret: the Vault version that it mirrors
_CONFLICT = 409


class SecretSource(Protocol):
    """A store of secrets; each is also in the cluster as a Kubernetes Secret, which pods mount."""

    def names(self, namespace: str) -> frozenset[str]:
        """The names of the secrets in a namespace."""

    def ensure(self, namespace: str, name: str, need: SecretNeed) -> None:
        """Make the secret if it is missing. Never overwrites: programs were set up with its values."""

    def write(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        """Set the values, with or without earlier ones."""

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        """The values; empty if the secret is missing."""

    def delete(self, namespace: str, name: str) -> None: ...

    def digest(self, namespace: str, names: Iterable[str]) -> str:
        """16 hex digits of the contents; a changed value changes them."""


def generate(need: SecretNeed) -> dict[str, str]:
    """Generate new values."""
    return {**need.fixed, **{key: token_urlsafe(need.bytes) for key in need.keys}}


class KubernetesSecrets:
    """Kubernetes Secrets without a copy in Vault."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def names(self, namespace: str) -> frozenset[str]:
        return frozenset(secret["metadata"]["name"] for secret in self._metadata(namespace))

    def _metadata(self, namespace: str) -> list[dict[str, Any]]:
        labels = ",".join(f"{key}={value}" for key, value in OWNED.items())
        return self._kube.metadata("v1", "Secret", namespace, labels=labels)

    def ensure(self, namespace: str, name: str, need: SecretNeed) -> None:
        try:
            self._kube.create(_secret(namespace, name, generate(need)))
        except KubeError as error:
            if error.status != _CONFLICT:
                raise

    def write(self, namespace: str, name: str, values: Mapping[str, str], *, version: int = 0) -> None:
        """Write the values; `version` is their version in Vault."""
        self._kube.apply(_secret(namespace, name, values, version))

    def version(self, namespace: str, name: str) -> int | None:
        """The Vault version of the mirror; 0 if it has none, None if the Secret is missing."""
        found = self._kube.get("v1", "Secret", name, namespace)
        return None if found is None else _version(found)

    def versions(self, namespace: str) -> Mapping[str, int]:
        """The Vault versions of all Secrets in a namespace, read without a value."""
        return {secret["metadata"]["name"]: _version(secret) for secret in self._metadata(namespace)}

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        found = self._kube.get("v1", "Secret", name, namespace)
        data = (found or {}).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def delete(self, namespace: str, name: str) -> None:
        self._kube.delete("v1", "Secret", name, namespace)

    def digest(self, namespace: str, names: Iterable[str]) -> str:
        contents = {name: dict(self.read(namespace, name)) for name in sorted(names)}
        return short_digest(contents)


class VaultSecrets:
    """Secrets in Vault, each with a Kubernetes Secret as its mirror, which pods mount.

    Reads use the mirrors: without changes, Vault gets no request. A Secret that Vault does not have is copied
    into Vault unchanged. Vault's own secrets, in namespace `own`, are Kubernetes Secrets only.
    """

    def __init__(
        self,
        mirror: KubernetesSecrets,
        session: Callable[[], AbstractContextManager[Vault]],
        own: str,
    ) -> None:
        self._mirror, self._session, self._own = mirror, session, own

    def names(self, namespace: str) -> frozenset[str]:
        """The names of the secrets in Vault; a Secret that is not yet copied into Vault is missing."""
        if namespace == self._own:
            return self._mirror.names(namespace)
        return frozenset(name for name, version in self._mirror.versions(namespace).items() if version)

    def ensure(self, namespace: str, name: str, need: SecretNeed) -> None:
        if namespace == self._own:
            self._mirror.ensure(namespace, name, need)
        elif not self._mirror.version(namespace, name):
            self._keep(namespace, name, lambda there: there or generate(need))

    def write(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        if namespace == self._own:
            self._mirror.write(namespace, name, values)
            return
        with self._session() as vault:
            stored = vault.get(kv_path(namespace, name))
            same = stored is not None and dict(stored.values) == dict(values)
            version = stored.version if stored and same else vault.put(kv_path(namespace, name), values)
        self._mirror.write(namespace, name, values, version=version)

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        return self._mirror.read(namespace, name)

    def delete(self, namespace: str, name: str) -> None:
        if namespace != self._own:
            with self._session() as vault:
                vault.forget(kv_path(namespace, name))
        self._mirror.delete(namespace, name)

    def digest(self, namespace: str, names: Iterable[str]) -> str:
        return self._mirror.digest(namespace, names)

    def _keep(
        self, namespace: str, name: str, make: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Vault's values have priority, then the cluster's; of two concurrent runs, the first writer wins."""
        path = kv_path(namespace, name)
        with self._session() as vault:
            stored = vault.get(path)
            if stored is None:
                vault.put(path, make(self._mirror.read(namespace, name)), first=True)
                stored = vault.get(path)
            assert stored, "it was written just now"
        self._mirror.write(namespace, name, stored.values, version=stored.version)


def kv_path(namespace: str, name: str) -> str:
    """The path of a Secret in Vault: below the component's name, which is also its namespace."""
    return f"platform/{namespace}/{name.removeprefix(f'{namespace}-')}"


def _version(secret: Mapping[str, Any]) -> int:
    return int((secret["metadata"].get("annotations") or {}).get(KEPT, 0))


def _secret(namespace: str, name: str, values: Mapping[str, str], version: int = 0) -> dict[str, object]:
    annotations = {"annotations": {KEPT: str(version)}} if version else {}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": OWNED, **annotations},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
