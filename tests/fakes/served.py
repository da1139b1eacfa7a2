"""Runs servers of tests in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseServer

_POLL_SECONDS = 0.01  # the default of 0.5 s is what each `shutdown` waits for


@contextmanager
def served(server: BaseServer) -> Iterator[None]:
    """Serve requests for the duration of the block."""
    with in_thread(lambda: server.serve_forever(_POLL_SECONDS), server.shutdown):
        yield


@contextmanager
def in_thread(run: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Run a function in a thread; at the end of the block, stop it and wait for it."""
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()
