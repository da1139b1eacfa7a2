"""The flag that Ctrl-C sets, and that every wait and every subprocess checks."""

from __future__ import annotations

import threading

from mlops_platform.base.errors import Interrupted


class Cancel:
    """Request to stop: `requested` (finish cleanly, start nothing new), then `forced` (stop now)."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._forced = threading.Event()

    def request(self) -> None:
        """Request a clean end; at the second call an immediate one."""
        (self._forced if self._requested.is_set() else self._requested).set()

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    @property
    def forced(self) -> bool:
        return self._forced.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep. Raises Interrupted as soon as a stop is requested."""
        if self._requested.wait(seconds):
            raise Interrupted("interrupted", hint="run the same command again to continue")
