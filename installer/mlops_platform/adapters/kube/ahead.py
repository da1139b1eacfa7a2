"""A client that answers many reads from few lists, for runs that look at everything and often change nothing.

See docs/adr/0040-read-ahead.md.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from mlops_platform.adapters.kube.client import Kube, Object, Objects

# Kinds with few objects beside those of the platform, and selectors of their lists: Helm's Secrets are large.
_KINDS: Mapping[tuple[str, str], str] = {
    ("v1", "Namespace"): "",
    ("v1", "ServiceAccount"): "",
    ("v1", "Pod"): "",
    ("v1", "Secret"): "owner!=helm",
    ("apps/v1", "Deployment"): "",
    ("apps/v1", "StatefulSet"): "",
    ("apps/v1", "DaemonSet"): "",
    ("networking.k8s.io/v1", "NetworkPolicy"): "",
}
_METADATA = frozenset({"Namespace", "Secret"})
_SECONDS = 5.0  # a list that is older is read again, so that no wait sees an old state forever


class ReadAhead(Kube):
    """A client with objects as they were at most five seconds ago, until the first change by this process.

    A change is a call of `changes`, or a request that is no GET. For clusters that belong to one environment:
    lists of a shared cluster may be large, or forbidden.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ended = False
        self._locks: dict[str, threading.Lock] = {}
        self._lists: dict[str, tuple[float, Objects]] = {}
        self._lock = threading.Lock()

    def changes(self) -> None:
        self._ended = True

    def raw(self, method: str, path: str, *args: Any, **kwargs: Any) -> Any:
        if method != "GET":
            self._ended = True
        return super().raw(method, path, *args, **kwargs)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        for each in self._objects(api_version, kind) or ():
            meta = each["metadata"]
            if meta["name"] == name and meta.get("namespace", "") == namespace:
                return each
        # Not among them: of another kind, new, or not selected.
        if self._ended:
            return super().get(api_version, kind, name, namespace)

        def read() -> Objects:
            found = super(ReadAhead, self).get(api_version, kind, name, namespace)
            return [found] if found else []

        return next(iter(self._once(f"{api_version} {kind} {namespace}/{name}", read)), None)

    def list(
        self, api_version: str, kind: str, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Objects:
        whole = not fields and not _KINDS.get((api_version, kind), "")
        found = self._objects(api_version, kind) if whole else None
        if found is None:
            return super().list(api_version, kind, namespace, labels=labels, fields=fields)
        return _selected(found, namespace, labels)

    def metadata(self, api_version: str, kind: str, namespace: str = "", *, labels: str = "") -> Objects:
        if self._ended or kind not in _METADATA:
            return super().metadata(api_version, kind, namespace, labels=labels)

        def read() -> Objects:
            return super(ReadAhead, self).metadata(api_version, kind)

        return _selected(self._once(f"metadata of {kind}", read), namespace, labels)

    def _objects(self, api_version: str, kind: str) -> Objects | None:
        """All objects of a kind; None if it is not read ahead."""
        labels = _KINDS.get((api_version, kind))
        if labels is None or self._ended:
            return None

        def read() -> Objects:
            return super(ReadAhead, self).list(api_version, kind, labels=labels)

        return self._once(kind, read)

    def _once(self, key: str, read: Callable[[], Objects]) -> Objects:
        """The list, read by the first of all threads that want it."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            when, found = self._lists.get(key, (0.0, []))
            if not when or time.monotonic() - when > _SECONDS:
                when, found = time.monotonic(), read()
                self._lists[key] = when, found
            return found


def _selected(found: Objects, namespace: str, labels: str) -> Objects:
    return [
        each
        for each in found
        if not namespace or each["metadata"].get("namespace") == namespace
        if _matches(each["metadata"].get("labels") or {}, labels)
    ]


def _matches(labels: Mapping[str, str], selector: str) -> bool:
    """Return whether labels match a selector of the terms 'a=b', 'a' and '!a'; the program uses no others."""
    for term in filter(None, selector.split(",")):
        name, equal, value = term.partition("=")
        right = labels.get(name) == value if equal else (name.lstrip("!") in labels) != name.startswith("!")
        if not right:
            return False
    return True
