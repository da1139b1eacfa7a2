"""The pinned Helm version, and the Kubernetes versions it supports."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_platform.adapters.helm import HELM

# https://helm.sh/docs/topics/version_skew: the version of its Kubernetes client, and three older ones.
_OLDER = 3


@dataclass(frozen=True)
class Pinned:
    """The pinned Helm. `newest` and `oldest` are minor versions of Kubernetes: 37 is 1.37."""

    version: str
    newest: int

    @property
    def oldest(self) -> int:
        return self.newest - _OLDER

    def suits(self, minor: int) -> bool:
        return self.oldest <= minor <= self.newest

    def __str__(self) -> str:
        return f"{self.version}, for Kubernetes 1.{self.oldest} to 1.{self.newest}"


def pinned() -> Pinned:
    """Read the versions from the go.mod of Helm's build, which exists before Helm does."""
    text = (HELM.module / "go.mod").read_text()
    helm = re.search(r"^\s*helm\.sh/helm/v\d+ v(\S+)", text, re.MULTILINE)
    client = re.search(r"^\s*k8s\.io/client-go v0\.(\d+)\.", text, re.MULTILINE)
    assert helm and client, "Helm's go.mod pins Helm and its Kubernetes client"
    return Pinned(helm[1], int(client[1]))
