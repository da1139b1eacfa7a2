"""Owns what every smoke script has in its Job: probes of both signs, one JSON line each; standard library.

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
    """Call `act` until it raises none of `errors`; after two minutes the last of them is raised.

    For the first word with a server: its pod may be new, and the node's own rules not yet lead to it.
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
    """Runs probes one after another; what goes wrong in one is said and does not stop the next."""

    def __init__(self) -> None:
        self._failed = False

    @contextmanager
    def works(self, name: str) -> Iterator[None]:
        """Passes when the block ends without an exception."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the probe's result
            traceback.print_exc(file=sys.stderr)
            self._say(name, started, ok=False, detail=_words(error), negative=False)
        else:
            self._say(name, started, ok=True, detail="", negative=False)

    @contextmanager
    def refused(self, name: str, error: type[BaseException], *telling: str) -> Iterator[None]:
        """Passes when the block raises this error, with one of these texts in it.

        Anything else is a failure: a server that is down also lets nobody in.
        """
        started = time.monotonic()
        name = f"refused: {name}"
        try:
            yield
        except error as caught:
            text = str(caught)
            right = not telling or any(each in text for each in telling)
            self._say(
                name,
                started,
                ok=right,
                detail="" if right else f"refused, but: {_words(caught)}",
                negative=True,
            )
        except Exception as caught:  # noqa: BLE001 - whatever it is, it is the probe's result
            traceback.print_exc(file=sys.stderr)
            self._say(name, started, ok=False, detail=f"not refused, but: {_words(caught)}", negative=True)
        else:
            self._say(name, started, ok=False, detail="it was allowed", negative=True)

    def end(self) -> None:
        """The script's exit status."""
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
        print(json.dumps(line), flush=True)  # noqa: T201 - this is how a Job answers


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST]
