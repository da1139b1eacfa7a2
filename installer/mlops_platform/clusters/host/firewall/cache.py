"""Owns the objects of one kind as last seen, by whichever of list, watch and single read was the newest.

All reads are put in order by resource version: a number that may be compared since Kubernetes 1.35, and
with etcd behind it always was one count for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from mlops_platform.clusters.host.firewall.model import Object, Unreadable

T = TypeVar("T")


class Cache(Generic[T]):
    """Not thread-safe. Every method that takes something says whether it was news to the firewall."""

    def __init__(self, parse: Callable[[Object], T | None]) -> None:
        self._parse = parse
        self._seen = -1  # all events up to this one are in
        self._found: dict[str, tuple[int, T | Unreadable | None]] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._found

    @property
    def listed(self) -> bool:
        return self._seen >= 0

    def readable(self) -> Iterator[T]:
        """All but what the firewall need not know. Raises Unreadable if one of them is."""
        for _, parsed in self._found.values():
            if isinstance(parsed, Unreadable):
                raise parsed
            if parsed is not None:
                yield parsed

    def replace(self, items: Sequence[Object], version: int) -> bool:
        """A whole list. What was read by itself and is newer stays: the watch will tell its fate."""
        newer = {uid: entry for uid, entry in self._found.items() if entry[0] > version}
        found = dict(map(self._entry, items)) | newer
        news = not self.listed or _values(found) != _values(self._found)
        self._found, self._seen = found, version
        return news

    def event(self, kind: str, item: Object) -> bool:
        """Of a watch: ADDED, MODIFIED or DELETED."""
        self._seen = max(self._seen, _version(item))
        if kind == "DELETED":
            return self._found.pop(item["metadata"]["uid"], None) is not None
        return self._newer(item)

    def offer(self, item: Object) -> bool:
        """Read by itself. Nothing new if a watch can have told of it already, or of its end."""
        return _version(item) > self._seen and self._newer(item)

    def _newer(self, item: Object) -> bool:
        uid, entry = self._entry(item)
        before = self._found.get(uid)
        if before and before[0] >= entry[0]:
            return False
        self._found[uid] = entry
        return before is None or before[1] != entry[1]

    def _entry(self, item: Object) -> tuple[str, tuple[int, T | Unreadable | None]]:
        parsed: T | Unreadable | None
        try:
            parsed = self._parse(item)
        except Unreadable as error:
            parsed = error
        return item["metadata"]["uid"], (_version(item), parsed)


def _version(item: Object) -> int:
    return int(item["metadata"]["resourceVersion"])


def _values(found: dict[str, tuple[int, T | Unreadable | None]]) -> dict[str, T | Unreadable | None]:
    return {uid: parsed for uid, (_, parsed) in found.items()}
