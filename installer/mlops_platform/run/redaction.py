"""Secrets that register each value with the redactor, which hides it in all that a run writes and shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlops_platform.adapters.kube import Kube
from mlops_platform.run.secrets import KubernetesSecrets

# Values that we generate have 16 random bytes or more in base64url. Host names and users, which are in the
# same Secrets, stay readable; a password in a URL is redacted with a pattern of its own.
_GENERATED = re.compile(r"(?=.*[A-Z0-9])[A-Za-z0-9_-]{20,}")


class WatchedSecrets(KubernetesSecrets):
    """The cluster's Secrets; calls `redact` with each generated value that is read or written."""

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
