"""Smoke test of idle notebooks: a silent cell is activity for the culler, and its end is the end of it.

The culler stops a notebook whose last activity is older than its limit, at least ten minutes. The test does
not wait for that: it reads the time of the last activity, as the culler does.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from threading import Event
from time import monotonic

from browsing import Browser
from probes import Probes
from sessions import MEMBER, Notebook, people, started

SILENT = 600  # seconds of a cell without output
# A busy kernel is noted every 30 s, and reported every 120 s; the least limit of the culler is 600 s.
_OLDEST = 240.0
_REPORTS = 150  # seconds after the end of a cell, in which its activity is reported
_PAUSE = 5.0


def ages(mine: Notebook, seconds: float) -> list[float]:
    """The age of the last activity, read for so many seconds."""
    found, until = [], monotonic() + seconds
    while monotonic() < until:
        found.append((datetime.now(UTC) - mine.last_activity()).total_seconds())
        Event().wait(_PAUSE)
    return found


def probe(probes: Probes) -> None:
    known = people()
    if not known:  # another issuer: the test cannot log in
        return
    with started(probes, known[MEMBER], Browser()) as running:
        if not running:
            return
        mine, kernel = running
        with probes.works(f"a cell without output is activity, for {SILENT} s without a browser"):
            mine.begin(kernel, f"import time; time.sleep({SILENT})")
            seen = ages(mine, SILENT)
            assert max(seen) < _OLDEST, f"the last activity was {max(seen):.0f} s ago"
        with probes.works("a notebook that does nothing has no activity"):
            ages(mine, _REPORTS)
            before, _ = mine.last_activity(), ages(mine, _OLDEST)
            assert mine.last_activity() == before, f"active at {mine.last_activity()}, after {before}"


if __name__ == "__main__":
    checks = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](checks)
    checks.end()
