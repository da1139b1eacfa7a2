"""Owns when to stop waiting for a pod: how long each bad state may last, how often it may crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mlops_platform.adapters.kube.rollout import State

CRASHES = 3
# Between two tries Kubernetes often shows the container as ended, and never says CrashLoopBackOff.
_CRASHED = frozenset({"CrashLoopBackOff", "Ended"})
# Seconds a state may last. A Secret or an image may still be on its way; a name that is no name never is.
_LIMITS = {
    **dict.fromkeys(("InvalidImageName", "ErrImageNeverPull"), 0.0),
    **dict.fromkeys(
        ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "FailedCreate"), 30.0
    ),
    **dict.fromkeys(("ErrImagePull", "ImagePullBackOff"), 120.0),
}
# Kubernetes alternates between the words for one and the same trouble.
_SAME = {"ErrImagePull": "ImagePullBackOff"}


class Patience:
    """Remembers how long each pod has been in a bad state. One wait, one Patience."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[tuple[str, str], float] = {}
        self._restarts: dict[tuple[str, str], int] = {}
        self._first = True

    def exhausted(self, states: Sequence[State]) -> State | None:
        """The first state that waiting will not end, or None."""
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
        """CRASHES restarts while we watch; only one more of a pod that was looping before.

        Not the count alone: every restart of a node adds one to each of its containers.
        """
        key, looping = (state.uid, state.container), state.reason in _CRASHED
        if key not in self._restarts:
            before = state.restarts - (CRASHES - 1 if looping else 0)
            self._restarts[key] = max(0, before) if self._first else 0
        return looping and state.restarts - self._restarts[key] >= CRASHES
