"""Owns the contract of a state that lies elsewhere: read and freed here without starting Terraform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress


class Remote(Protocol):
    """A backend's place for one state. Calls go over the network and raise PlatformError."""

    @property
    def where(self) -> str:
        """For people, such as 's3://bucket/terraform.tfstate'."""

    def config(self) -> Mapping[str, str | bool]:
        """What `init -backend-config` is to be told; no credentials."""

    def read(self) -> str | None:
        """The state's text; None when there is none."""

    def write(self, text: str) -> None:
        """Put a state there that Terraform could not write itself."""

    def lock(self) -> str | None:
        """What Terraform wrote about who has the state locked (JSON); None when nobody has."""

    def unlock(self, lock: str) -> None:
        """Remove that very lock, and no other that came since."""

    def import_ids(
        self, addresses: Sequence[str], progress: Progress, cancel: Cancel | None = None
    ) -> Mapping[str, str]:
        """Of objects that were being made when Terraform was killed: those that exist and are provably
        this environment's, with the id each is imported by. Waits for what is still being made."""

    def left_behind(self, known: Sequence[str]) -> Mapping[str, str]:
        """Objects the cloud itself makes, or makes again, under a name the root wants, beyond the `known`
        addresses; with the id each is imported by."""
