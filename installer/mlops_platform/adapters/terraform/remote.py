"""The contract of a remote state: read and unlocked here without starting Terraform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress


class Remote(Protocol):
    """One state in a remote backend. Calls go over the network and raise PlatformError."""

    @property
    def where(self) -> str:
        """The place for messages, such as 's3://bucket/terraform.tfstate'."""

    def config(self) -> Mapping[str, str | bool]:
        """Arguments of `init -backend-config`; no credentials."""

    def read(self) -> str | None:
        """The state's text; None if there is none."""

    def write(self, text: str) -> None:
        """Write a state that Terraform could not write itself."""

    def lock(self) -> str | None:
        """Terraform's lock information (JSON); None if the state is not locked."""

    def unlock(self, lock: str) -> None:
        """Remove this lock, but no later one."""

    def import_ids(
        self, addresses: Sequence[str], progress: Progress, cancel: Cancel | None = None
    ) -> Mapping[str, str]:
        """Import ids of those objects that exist and certainly belong to this environment, of objects whose
        creation was interrupted. Waits for unfinished creations."""

    def left_behind(self, known: Sequence[str]) -> Mapping[str, str]:
        """Import ids of objects that the cloud itself creates under a name of the root, except the `known`
        addresses."""
