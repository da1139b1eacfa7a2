"""Owns letting a new pod onto the network: asked by the CNI plugin, answered once the rules know the pod."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.clusters.host.api import Api, Unreachable
from mlops_platform.clusters.host.firewall.state import PODS, POLICIES, State
from mlops_platform.clusters.host.firewall.watch import PATHS

_SECONDS = 10.0  # less than the plugin waits, so that the reason reaches the pod's events
_SETTLE_SECONDS = 2.0  # a change on its way, or an agent that has just been started, is no fault
_MOST_BYTES = 65536
log = logging.getLogger("firewall")


@dataclass(frozen=True)
class Newcomer:
    """What the plugin says of a pod."""

    namespace: str
    name: str
    uid: str
    address: IPv4Address

    @classmethod
    def of(cls, said: dict[str, Any]) -> Newcomer:
        return cls(said["namespace"], said["name"], said["uid"], IPv4Address(said["address"]))


class Admission:
    """Answers on the node's socket: one line of JSON in, one line out, `failure` '' or why not."""

    def __init__(self, api: Api, state: State) -> None:
        self._api = api
        self._state = state

    def serve(self, listening: socket.socket) -> None:
        """For ever; a thread for each caller, of which there are as many as pods that start."""
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_SECONDS)
            try:
                said = json.loads(connection.makefile("rb").readline(_MOST_BYTES))
                status = said["act"] == "status"
                failure = self._state.settled(_SETTLE_SECONDS) if status else self.admit(Newcomer.of(said))
                connection.sendall(json.dumps({"failure": failure}).encode() + b"\n")
            except (OSError, ValueError, KeyError, TypeError) as error:  # whoever asked is gone, or no plugin
                log.warning("a caller on the socket: %s: %s", type(error).__name__, error)

    def admit(self, pod: Newcomer) -> str:
        """'' once every rule for a pod is in force, or why it must not start."""
        started = time.monotonic()
        try:
            failure = wait_until(
                f"pod {pod.namespace}/{pod.name}", lambda: self._current(pod), seconds=_SECONDS
            )
        except WaitTimedOut as error:
            failure = error.why
        if not failure:
            failure = self._state.in_force(self._state.claim(pod.uid, pod.address), _SECONDS)
        said = failure or f"admitted ({(time.monotonic() - started) * 1000:.0f} ms)"
        (log.warning if failure else log.info)("%s/%s %s %s", pod.namespace, pod.name, pod.address, said)
        return failure

    def _current(self, pod: Newcomer) -> str | Pending:
        """Read what the watches may not have told yet: a policy that is older than the pod must hold for
        its first packet. Watches of two kinds come in no order."""
        try:
            if not self._state.knows(pod.uid):
                found = self._api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
                if found is None or found["metadata"]["uid"] != pod.uid:
                    return "the API server has no such pod any more"
                self._state.offer(PODS, [found])
            policies = PATHS[POLICIES].replace(POLICIES, f"namespaces/{pod.namespace}/{POLICIES}")
            listed = self._api.get(policies)
        except Unreachable as error:
            return Pending(error.why)
        self._state.offer(POLICIES, listed["items"] if listed else [])
        return ""
