"""Owns following one kind of objects: list, then watch, again and again."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mlops_platform.base.cancel import Cancel
from mlops_platform.clusters.host.api import Api, Unreachable
from mlops_platform.clusters.host.firewall.state import NAMESPACES, PODS, POLICIES, State

PATHS: Mapping[str, str] = {
    PODS: "/api/v1/pods",
    NAMESPACES: "/api/v1/namespaces",
    POLICIES: "/apis/networking.k8s.io/v1/networkpolicies",
}
# A watch that has died without a word is noticed after this long.
_WATCH_SECONDS = 120
_RETRY_SECONDS = 0.25
log = logging.getLogger("firewall")


def follow(api: Api, kind: str, state: State, stop: Cancel) -> None:
    """For ever. What goes wrong is logged once and told by the state until the next list."""
    said = ""
    while True:
        try:
            _round(api, kind, state)
            said = ""
            continue
        except Unreachable as error:
            state.lost(kind, error.why)
            if error.why != said:
                said = error.why
                log.warning("%s: %s", kind, said)
        stop.pause(_RETRY_SECONDS)


def _round(api: Api, kind: str, state: State) -> None:
    """One list and its watch. Raises Unreachable."""
    listed = api.get(PATHS[kind])
    if listed is None:
        raise Unreachable(f"{PATHS[kind]}: not served yet")
    version = listed["metadata"]["resourceVersion"]
    state.listed(kind, listed["items"], int(version))
    for event in api.watch(PATHS[kind], version, seconds=_WATCH_SECONDS):
        if event["type"] == "ERROR":  # the version is too old by now: list again
            return
        state.event(kind, event["type"], event["object"])
