"""Positive and negative tests for the scripts of smoke tests: one JSON line each; standard library only.

    from probes import Probes, patiently
    probes = Probes()
    patiently(connect, ConnectionError)
    with probes.works("write a row"):
        ...
    with probes.refused("with a wrong password", OperationalError, "password authentication failed"):
        ...
    probes.end()

It is mounted beside the component's script as `probes.py` and never imported by the installer.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

_LONGEST = 600
_BACK_SECONDS, _PAUSE_SECONDS = 120.0, 0.2

T = TypeVar("T")


def patiently(act: Callable[[], T], *errors: type[Exception]) -> T:
    """Call `act` until it raises none of `errors`; after two minutes, raise the last of them.

    Use it for the first connection to a server: its pod may be new, and rules on the node not yet updated.
    """
    until = time.monotonic() + _BACK_SECONDS
    while True:
        try:
            return act()
        except errors:
            if time.monotonic() > until:
                raise
            Event().wait(_PAUSE_SECONDS)


class Probes:
    """Runs probes one after another; a failed probe is reported and does not stop the next."""

    def __init__(self) -> None:
        self._failed = False

    @contextmanager
    def works(self, name: str) -> Iterator[None]:
        """Passes when the block ends without an exception."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - any exception is the probe's result
            traceback.print_exc(file=sys.stderr)
            self._say(name, started, ok=False, detail=_detail(error), negative=False)
        else:
            self._say(name, started, ok=True, detail="", negative=False)

    @contextmanager
    def refused(self, name: str, error: type[BaseException], *texts: str) -> Iterator[None]:
        """Passes when the block raises this error, with one of these texts in it.

        Any other exception is a failure: a server that is down also rejects every login.
        """
        started = time.monotonic()
        name = f"refused: {name}"
        try:
            yield
        except error as caught:
            text = str(caught)
            right = not texts or any(each in text for each in texts)
            self._say(
                name,
                started,
                ok=right,
                detail="" if right else f"refused, but: {_detail(caught)}",
                negative=True,
            )
        except Exception as caught:  # noqa: BLE001 - any exception is the probe's result
            traceback.print_exc(file=sys.stderr)
            self._say(name, started, ok=False, detail=f"not refused, but: {_detail(caught)}", negative=True)
        else:
            self._say(name, started, ok=False, detail="it was allowed", negative=True)

    def end(self) -> None:
        """Exit with the script's status."""
        raise SystemExit(1 if self._failed else 0)

    def _say(self, name: str, started: float, *, ok: bool, detail: str, negative: bool) -> None:
        self._failed = self._failed or not ok
        line = {
            "probe": name,
            "ok": ok,
            "detail": detail,
            "seconds": round(time.monotonic() - started, 3),
            "negative": negative,
        }
        print(json.dumps(line), flush=True)  # noqa: T201 - the Job's log is the answer


def _detail(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]
