"""Admission of new pods: the CNI plugin asks, the agent answers when the rules for the pod are in force."""

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

_SECONDS = 10.0  # less than the plugin waits, so that the reason reaches the events of the pod
_SETTLE_SECONDS = 2.0  # a pending change, or an agent that has just started, is no fault
_MOST_BYTES = 65536
log = logging.getLogger("firewall")


@dataclass(frozen=True)
class NewPod:
    """A new pod as the CNI plugin describes it."""

    namespace: str
    name: str
    uid: str
    address: IPv4Address

    @classmethod
    def of(cls, request: dict[str, Any]) -> NewPod:
        return cls(request["namespace"], request["name"], request["uid"], IPv4Address(request["address"]))


class Admission:
    """Server on the node's socket: one line of JSON in, one line out with `failure`: '' or the reason."""

    def __init__(self, api: Api, state: State) -> None:
        self._api = api
        self._state = state

    def serve(self, listening: socket.socket) -> None:
        """Serve forever, with one thread per caller; there are as many callers as pods that start."""
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_SECONDS)
            try:
                request = json.loads(connection.makefile("rb").readline(_MOST_BYTES))
                status = request["act"] == "status"
                failure = self._state.settled(_SETTLE_SECONDS) if status else self.admit(NewPod.of(request))
                connection.sendall(json.dumps({"failure": failure}).encode() + b"\n")
            except (
                OSError,
                ValueError,
                KeyError,
                TypeError,
            ) as error:  # the caller is gone, or is not the plugin
                log.warning("a caller on the socket: %s: %s", type(error).__name__, error)

    def admit(self, pod: NewPod) -> str:
        """Return '' when every rule for the pod is in force, else the reason why it must not start."""
        started = time.monotonic()
        try:
            failure = wait_until(
                f"pod {pod.namespace}/{pod.name}", lambda: self._current(pod), seconds=_SECONDS
            )
        except WaitTimedOut as error:
            failure = error.why
        if not failure:
            failure = self._state.in_force(self._state.claim(pod.uid, pod.address), _SECONDS)
        result = failure or f"admitted ({(time.monotonic() - started) * 1000:.0f} ms)"
        (log.warning if failure else log.info)("%s/%s %s %s", pod.namespace, pod.name, pod.address, result)
        return failure

    def _current(self, pod: NewPod) -> str | Pending:
        """Read the pod and its policies, which the watches may not have reported yet.

        A policy that is older than the pod must hold for its first packet, and the events of two watches
        come in no common order.
        """
        try:
            if not self._state.knows(pod.uid):
                found = self._api.get(f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}")
                if found is None or found["metadata"]["uid"] != pod.uid:
                    return "the API server has no such pod"
                self._state.offer(PODS, [found])
            policies = PATHS[POLICIES].replace(POLICIES, f"namespaces/{pod.namespace}/{POLICIES}")
            listed = self._api.get(policies)
        except Unreachable as error:
            return Pending(error.why)
        self._state.offer(POLICIES, listed["items"] if listed else [])
        return ""
