"""Owns which Helm is pinned, and which versions of Kubernetes it is made for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlops_platform.adapters.helm import HELM

# https://helm.sh/docs/topics/version_skew: that of the client it was compiled with, and three before.
_OLDER = 3


@dataclass(frozen=True)
class Pinned:
    """`newest` and `oldest` are minor versions of Kubernetes: 37 is 1.37."""

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
    """Of the go.mod Helm is built from: nothing is started, and it need not be built yet."""
    text = (HELM.module / "go.mod").read_text()
    helm = re.search(r"^\s*helm\.sh/helm/v\d+ v(\S+)", text, re.MULTILINE)
    client = re.search(r"^\s*k8s\.io/client-go v0\.(\d+)\.", text, re.MULTILINE)
    assert helm and client, "Helm's go.mod pins Helm and the Kubernetes client it has in it"
    return Pinned(helm[1], int(client[1]))
