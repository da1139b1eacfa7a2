"""Owns what a provider answers whose clusters leave nothing outside of this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import Leftover, Retain

if TYPE_CHECKING:
    from mlops_platform.clusters.managed import Given, Server


class NothingElsewhere:
    """Mixed into a provider; see ClusterProvider for what each of these means."""

    whole: bool = True
    keeps_data: bool = True
    expires: bool = False
    processor: str = ""

    @property
    def retainable(self) -> Mapping[str, Retain]:
        return {}

    @property
    def given(self) -> Mapping[str, Given]:
        return {}

    @property
    def servers(self) -> Mapping[str, Server]:
        return {}

    def require_same_location(self) -> None:
        return None

    def expire(self, when: str) -> None:
        raise NotImplementedError("asked only where `expires` is true")

    def made(self) -> str:
        return ""

    def data(self) -> Sequence[Leftover]:
        return ()

    def retain(self, words: Collection[str]) -> None:
        return None

    def explained(self, left: Sequence[Leftover]) -> Sequence[Leftover]:
        return left

    def recorded(self) -> str:
        return ""

    def forget(self, progress: Progress) -> None:
        return None
