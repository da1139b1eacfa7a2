"""The teardown of a cluster; the defaults are those of a cluster that has nothing outside of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.leftovers import Leftover, Retain


class Teardown(ABC):
    """Finds, keeps and deletes what an environment has outside of Terraform's state."""

    @property
    def retainable(self) -> Mapping[str, Retain]:
        """The words of `down --retain`."""
        return {}

    @abstractmethod
    def inventory(self) -> Sequence[Leftover]:
        """Everything of this environment that exists outside the state folder, and state files."""

    @abstractmethod
    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        """Delete what Terraform does not know of, if it certainly belongs to the environment."""

    @abstractmethod
    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Remove the cluster's own files; with `keep_data` all but those that bring the data back."""

    def data(self) -> Sequence[Leftover]:
        """Stores that are meant to outlive a cluster, and that `down` would delete."""
        return ()

    def retain(self, words: Collection[str]) -> None:
        """Mark what these words of `retainable` name as kept, for later inventories too."""
        return

    def with_reasons(self, left: Sequence[Leftover]) -> Sequence[Leftover]:
        """The same leftovers; the detail of each names what uses it, where that is known."""
        return left

    def expire(self, when: str) -> None:
        """Allow `reap` to take this environment down after `when`, RFC 3339."""
        raise NotImplementedError("needs the capability `expires`")

    def record_location(self) -> str:
        """The place of the environment's record outside of this machine; '' without one."""
        return ""

    def remove_record(self, progress: Progress) -> None:
        """Remove that record. The last action of `down`, once nothing is left."""
        return
