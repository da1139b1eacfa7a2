"""Owns secrets: random, made once, read by name. Whoever keeps them, components and steps see this alone."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Protocol

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import OWNED
from mlops_platform.catalogue.component import SecretNeed

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault

KEPT = "mlops-platform/version"  # annotation of a mirror: which version of the store's it shows
_CONFLICT = 409


class SecretSource(Protocol):
    """Where secrets live; what it holds is in the cluster as Kubernetes Secrets, for pods to mount."""

    def names(self, namespace: str) -> frozenset[str]:
        """What there is in a namespace."""

    def ensure(self, namespace: str, name: str, need: SecretNeed) -> None:
        """Make it when it is not there. Never overwritten: programs have been set up with what it says."""

    def write(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        """Make it so, whatever it was."""

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        """Its values; empty when it is not there."""

    def delete(self, namespace: str, name: str) -> None: ...

    def digest(self, namespace: str, names: Iterable[str]) -> str:
        """16 hex digits of their contents: changes when one of them does."""


def generate(need: SecretNeed) -> dict[str, str]:
    """New values."""
    return {**need.fixed, **{key: token_urlsafe(need.bytes) for key in need.keys}}


class KubernetesSecrets:
    """Kubernetes Secrets and nothing behind them."""

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
        """`version` is the store's that these values are."""
        self._kube.apply(_secret(namespace, name, values, version))

    def version(self, namespace: str, name: str) -> int | None:
        """Which version of the store's it shows; 0: made without one, None: not there."""
        found = self._kube.get("v1", "Secret", name, namespace)
        return None if found is None else _version(found)

    def versions(self, namespace: str) -> Mapping[str, int]:
        """The same of all in a namespace, without reading a value."""
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
    """The secret store, and a Kubernetes Secret as mirror of each secret for pods to mount.

    What reads only, reads mirrors: nothing is asked of the store while nothing changes. A Secret that is
    there but in no version of the store's is taken over as it is. The store's own, in namespace `own`,
    have nothing behind them.
    """

    def __init__(
        self,
        mirror: KubernetesSecrets,
        session: Callable[[], AbstractContextManager[Vault]],
        own: str,
    ) -> None:
        self._mirror, self._session, self._own = mirror, session, own

    def names(self, namespace: str) -> frozenset[str]:
        """Those in the store: one that is still to be taken over is missing."""
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
            kept = vault.get(kv_path(namespace, name))
            same = kept is not None and dict(kept.values) == dict(values)
            version = kept.version if kept and same else vault.put(kv_path(namespace, name), values)
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
        """What the store has wins, then what the cluster has; of two runs at once the first one's value."""
        path = kv_path(namespace, name)
        with self._session() as vault:
            kept = vault.get(path)
            if kept is None:
                vault.put(path, make(self._mirror.read(namespace, name)), first=True)
                kept = vault.get(path)
            assert kept, "it was written just now"
        self._mirror.write(namespace, name, kept.values, version=kept.version)


def kv_path(namespace: str, name: str) -> str:
    """Where the store keeps Secret `name`: a component's are below its own name, which is its namespace's."""
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
