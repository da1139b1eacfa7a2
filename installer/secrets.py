"""Owns secrets: random, made once, read by name. Whoever keeps them, components and steps see this alone."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from secrets import token_urlsafe
from typing import Protocol

from installer.adapters.kube import Kube, KubeError
from installer.component import SecretNeed

_CONFLICT = 409
_LABELS = {"app.kubernetes.io/part-of": "mlops-platform"}


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


class KubernetesSecrets:
    """Kubernetes Secrets and nothing behind them."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def names(self, namespace: str) -> frozenset[str]:
        labels = ",".join(f"{key}={value}" for key, value in _LABELS.items())
        found = self._kube.metadata("v1", "Secret", namespace, labels=labels)
        return frozenset(secret["metadata"]["name"] for secret in found)

    def ensure(self, namespace: str, name: str, need: SecretNeed) -> None:
        values = {**need.fixed, **{key: token_urlsafe(need.bytes) for key in need.keys}}
        try:
            self._kube.create(_secret(namespace, name, values))
        except KubeError as error:
            if error.status != _CONFLICT:
                raise

    def write(self, namespace: str, name: str, values: Mapping[str, str]) -> None:
        self._kube.apply(_secret(namespace, name, values))

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        found = self._kube.get("v1", "Secret", name, namespace)
        data = (found or {}).get("data") or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def delete(self, namespace: str, name: str) -> None:
        self._kube.delete("v1", "Secret", name, namespace)

    def digest(self, namespace: str, names: Iterable[str]) -> str:
        contents = {name: dict(self.read(namespace, name)) for name in sorted(names)}
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]


def _secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": _LABELS},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }
