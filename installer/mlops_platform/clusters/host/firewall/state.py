"""The state of the agent: objects, addresses of pods, and which generation of the rules is in force.

Thread-safe: watches and admissions write, one loop reads and applies.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from mlops_platform.clusters.host.firewall.cache import Cache
from mlops_platform.clusters.host.firewall.model import Namespace, Object, Pod, Policy
from mlops_platform.clusters.host.firewall.render import Snapshot

_LATE = "the newest rules are not in force in time"
PODS, NAMESPACES, POLICIES = "pods", "namespaces", "networkpolicies"


class State:
    """Every change makes a new generation; an admission waits until its generation is in force."""

    def __init__(self, claims: Path) -> None:
        """`claims`: the file of addresses for the next start of this process; it ends with the node."""
        self._changed = threading.Condition()
        self._pods = Cache(Pod.of)
        self._namespaces = Cache(Namespace.of)
        self._policies = Cache(Policy.of)
        self._caches: Mapping[str, Cache[Any]] = {
            PODS: self._pods,
            NAMESPACES: self._namespaces,
            POLICIES: self._policies,
        }
        self._file = claims
        self._claims = _read(claims)
        self._wanted, self._applied, self._tried = 1, 0, 0
        self._urgent = False
        self._failure = ""
        self._lost: dict[str, str] = {}

    def listed(self, kind: str, items: Sequence[Object], version: int) -> None:
        with self._changed:
            self._lost.pop(kind, None)
            self._note(self._caches[kind].replace(items, version))
            self._changed.notify_all()
            if kind == PODS:
                self._forget([uid for uid in self._claims if uid not in self._pods])

    def event(self, kind: str, act: str, item: Object) -> None:
        with self._changed:
            self._note(self._caches[kind].event(act, item))
            if kind == PODS and act == "DELETED":
                self._forget([item["metadata"]["uid"]])

    def offer(self, kind: str, items: Sequence[Object]) -> None:
        """Take single reads of objects."""
        with self._changed:
            for item in items:
                self._note(self._caches[kind].offer(item))

    def lost(self, kind: str, why: str) -> None:
        """Report a failed watch; the next list clears it."""
        with self._changed:
            self._lost[kind] = why

    def knows(self, uid: str) -> bool:
        with self._changed:
            return uid in self._pods

    def claim(self, uid: str, address: IPv4Address) -> int:
        """Give an address to a pod, and to no other pod; return the generation that includes it."""
        with self._changed:
            for other in [u for u, a in self._claims.items() if a == address]:
                del self._claims[other]
            self._claims[uid] = address
            self._keep()
            self._urgent = True
            self._note(True)
            return self._wanted

    def awaited(self) -> bool:
        """Wait until the rules are out of date; return whether a pod waits for them."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._applied < self._wanted and all(c.listed for c in self._caches.values())
            )
            return self._urgent

    def newest(self) -> int:
        """Return the generation that a later snapshot includes at least."""
        with self._changed:
            self._urgent = False
            return self._wanted

    def snapshot(self) -> Snapshot:
        """The state as it is now."""
        with self._changed:
            return Snapshot(
                tuple(self._pods.objects()),
                dict(self._claims),
                {each.name: each.labels for each in self._namespaces.objects()},
                tuple(self._policies.objects()),
            )

    def applied(self, generation: int) -> None:
        with self._changed:
            self._applied = self._tried = generation
            self._failure = ""
            self._changed.notify_all()

    def failed(self, generation: int, why: str) -> None:
        """Report that nft rejected a generation: the rules are as before."""
        with self._changed:
            self._tried, self._failure = generation, why
            self._changed.notify_all()

    def in_force(self, generation: int, seconds: float) -> str:
        """Return '' when the generation is in force, or the reason why it is not within `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self._tried >= generation, timeout=seconds)
            return "" if self._applied >= generation else self._wrong() or _LATE

    def settled(self, seconds: float) -> str:
        """Return '' when the present state is in force and every watch works, else the reason."""
        with self._changed:
            now = self._wanted
            self._changed.wait_for(lambda: self._applied >= now and not self._wrong(), timeout=seconds)
            return self._wrong() or ("" if self._applied >= now else _LATE)

    def _wrong(self) -> str:
        if self._failure:
            return self._failure
        if self._lost:
            return "; ".join(f"{kind}: {why}" for kind, why in self._lost.items())
        unlisted = [kind for kind, cache in self._caches.items() if not cache.listed]
        if unlisted:
            return f"waiting for the list of {', '.join(unlisted)}"
        return "" if self._applied else "no rules are in force yet"

    def _note(self, news: bool) -> None:
        if news:
            self._wanted += 1
            self._changed.notify_all()

    def _forget(self, uids: Sequence[str]) -> None:
        gone = [uid for uid in uids if self._claims.pop(uid, None)]
        if gone:
            self._keep()
            self._note(True)

    def _keep(self) -> None:
        """Write the addresses, without fsync: the file is on a tmpfs and must outlive only this process."""
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({uid: str(address) for uid, address in self._claims.items()}))
        new.replace(self._file)


def _read(file: Path) -> dict[str, IPv4Address]:
    if not file.exists():
        return {}
    return {uid: IPv4Address(address) for uid, address in json.loads(file.read_text()).items()}
