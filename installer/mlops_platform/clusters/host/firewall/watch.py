"""List and watch one kind of objects, in a loop."""

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
# A watch whose connection died silently ends after this long.
_WATCH_SECONDS = 120
_RETRY_SECONDS = 0.25
log = logging.getLogger("firewall")


def follow(api: Api, kind: str, state: State, stop: Cancel) -> None:
    """Run forever. A fault is logged once, and the state reports it until the next list."""
    logged = ""
    while True:
        try:
            _round(api, kind, state)
            logged = ""
            continue
        except Unreachable as error:
            state.lost(kind, error.why)
            if error.why != logged:
                logged = error.why
                log.warning("%s: %s", kind, logged)
        stop.pause(_RETRY_SECONDS)


def _round(api: Api, kind: str, state: State) -> None:
    """Run one list and its watch. Raises Unreachable."""
    listed = api.get(PATHS[kind])
    if listed is None:
        raise Unreachable(f"{PATHS[kind]}: not served yet")
    version = listed["metadata"]["resourceVersion"]
    state.listed(kind, listed["items"], int(version))
    for event in api.watch(PATHS[kind], version, seconds=_WATCH_SECONDS):
        if event["type"] == "ERROR":  # the version is too old by now: list again
            return
        state.event(kind, event["type"], event["object"])
