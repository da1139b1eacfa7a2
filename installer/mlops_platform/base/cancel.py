"""Owns the one flag that says "stop": set by Ctrl-C, honoured by every wait and every subprocess."""

from __future__ import annotations

import threading

from mlops_platform.base.errors import Interrupted


class Cancel:
    """Two levels: `requested` (finish cleanly, start nothing new) and `forced` (stop now)."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._forced = threading.Event()

    def request(self) -> None:
        """First call asks for a clean end, the second for an immediate one."""
        (self._forced if self._requested.is_set() else self._requested).set()

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    @property
    def forced(self) -> bool:
        return self._forced.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, but wake at once when asked to stop. Raises Interrupted then."""
        if self._requested.wait(seconds):
            raise Interrupted("interrupted", hint="run the same command again to go on")
