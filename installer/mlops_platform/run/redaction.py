"""Owns keeping secrets out of what a run writes and shows: every value it meets is told to the redactor."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlops_platform.adapters.kube import Kube
from mlops_platform.run.secrets import KubernetesSecrets

# What we generate: 16 random bytes and more in base64url. Host names and users, which stand in the same
# Secrets, are to stay readable; a URL with a password in it is cleaned where the password stands.
_GENERATED = re.compile(r"(?=.*[A-Z0-9])[A-Za-z0-9_-]{20,}")


class WatchedSecrets(KubernetesSecrets):
    """The cluster's Secrets; `redact` gets every generated value on its way through."""

    def __init__(self, kube: Kube, redact: Callable[[str], None]) -> None:
        super().__init__(kube)
        self._redact = redact

    def read(self, namespace: str, name: str) -> Mapping[str, str]:
        values = super().read(namespace, name)
        self._watch(values)
        return values

    def write(self, namespace: str, name: str, values: Mapping[str, str], *, version: int = 0) -> None:
        self._watch(values)
        super().write(namespace, name, values, version=version)

    def _watch(self, values: Mapping[str, str]) -> None:
        for value in values.values():
            if _GENERATED.fullmatch(value):
                self._redact(value)
