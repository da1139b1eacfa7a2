"""Owns what a cloud has in place of components, as the rest of the house sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Reached(Protocol):
    """What a cloud has in place of a component that provides a capability."""

    @property
    def ends(self) -> Sequence[tuple[str, int]]:
        """Networks and ports at which pods reach it."""


class Given(Reached, Protocol):
    """Of such a kind that the cloud knows pods, and lets them in."""

    @property
    def jobs(self) -> bool:
        """True: not only a component's own pods are let in, but those of its Jobs and probes too."""

    def values(self, namespace: str) -> Mapping[str, str]:
        """What a component's Secret says of it, as an account at a component would; no password among it."""

    def grant(self, namespace: str, accounts: Sequence[str]) -> None:
        """Let pods with these service accounts use their namespace's part of it. Idempotent."""


class Server(Reached, Protocol):
    """Of such a kind that accounts are made in it, as in the component's own, by the component's script."""

    @property
    def place(self) -> tuple[str, int]:
        """Its name and port."""

    def admin(self) -> Mapping[str, str]:
        """`user` and `password` of who may make accounts."""
