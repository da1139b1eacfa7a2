"""Limits of waiting for a pod: how long each bad state may last, and how often it may crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mlops_platform.adapters.kube.rollout import State

CRASHES = 3
# Between two restarts Kubernetes often reports the container as terminated, without CrashLoopBackOff.
_CRASHED = frozenset({"CrashLoopBackOff", "Ended"})
# Seconds a state may last. A missing Secret or image may still come; an invalid name stays invalid.
_LIMITS = {
    **dict.fromkeys(("InvalidImageName", "ErrImageNeverPull"), 0.0),
    **dict.fromkeys(
        ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "FailedCreate"), 30.0
    ),
    "FailedMount": 60.0,
    **dict.fromkeys(("ErrImagePull", "ImagePullBackOff"), 120.0),
}
# Kubernetes alternates between two words for one state.
_SAME = {"ErrImagePull": "ImagePullBackOff"}


class Patience:
    """The time that each pod has been in a bad state, during one wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], float] = {}
        self._restarts: dict[tuple[str, str], int] = {}
        self._first = True

    def exhausted(self, states: Sequence[State]) -> State | None:
        """Return the first state that waiting will not end, or None."""
        now = self._clock()
        keys = [(state.uid, _SAME.get(state.reason, state.reason)) for state in states]
        self._since = {key: self._since.get(key, now) for key in keys}
        found = None
        for state, key in zip(states, keys, strict=True):
            crashed = self._crashed(state)
            if not found and (crashed or now - self._since[key] >= _LIMITS.get(state.reason, float("inf"))):
                found = state
        self._first = False
        return found

    def _crashed(self, state: State) -> bool:
        """Return whether a pod crashed CRASHES times during this wait, or once more if it was looping before.

        The restart count alone does not tell: every restart of a node adds one to each container.
        """
        key, looping = (state.uid, state.container), state.reason in _CRASHED
        if key not in self._restarts:
            before = state.restarts - (CRASHES - 1 if looping else 0)
            self._restarts[key] = max(0, before) if self._first else 0
        return looping and state.restarts - self._restarts[key] >= CRASHES
