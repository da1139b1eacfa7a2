"""The objects of one kind, each as its newest list, watch event or single read had it.

Reads are ordered by resource version: a number that may be compared since Kubernetes 1.35, and that
etcd always counted for all kinds together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from mlops_platform.clusters.host.firewall.model import Object

T = TypeVar("T")


class Cache(Generic[T]):
    """Not thread-safe. The methods that take objects return whether they changed what the firewall uses."""

    def __init__(self, parse: Callable[[Object], T | None]) -> None:
        self._parse = parse
        self._seen = -1  # all events up to this version are included
        self._found: dict[str, tuple[int, T | None]] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._found

    @property
    def listed(self) -> bool:
        return self._seen >= 0

    def objects(self) -> Iterator[T]:
        """All objects that the firewall uses."""
        return (parsed for _, parsed in self._found.values() if parsed is not None)

    def replace(self, items: Sequence[Object], version: int) -> bool:
        """Take a whole list. An object from a newer single read stays until the watch reports it."""
        newer = {uid: entry for uid, entry in self._found.items() if entry[0] > version}
        found = dict(map(self._entry, items)) | newer
        news = not self.listed or _values(found) != _values(self._found)
        self._found, self._seen = found, version
        return news

    def event(self, kind: str, item: Object) -> bool:
        """Take one event of a watch: ADDED, MODIFIED or DELETED."""
        self._seen = max(self._seen, _version(item))
        if kind == "DELETED":
            return self._found.pop(item["metadata"]["uid"], None) is not None
        return self._newer(item)

    def offer(self, item: Object) -> bool:
        """Take a single read. The watch may already have reported this version, or the deletion."""
        return _version(item) > self._seen and self._newer(item)

    def _newer(self, item: Object) -> bool:
        uid, entry = self._entry(item)
        before = self._found.get(uid)
        if before and before[0] >= entry[0]:
            return False
        self._found[uid] = entry
        return before is None or before[1] != entry[1]

    def _entry(self, item: Object) -> tuple[str, tuple[int, T | None]]:
        return item["metadata"]["uid"], (_version(item), self._parse(item))


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])


def _values(found: dict[str, tuple[int, T | None]]) -> dict[str, T | None]:
    return {uid: parsed for uid, (_, parsed) in found.items()}
