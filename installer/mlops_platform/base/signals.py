"""Signals: Ctrl-C, SIGTERM and a lost terminal end a run cleanly; a second one stops it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Exit

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GIVE_UP_SECONDS = 15.0
# `timeout` and CI systems signal the process, then its group: that counts as one request.
TOGETHER_SECONDS = 0.3
_MANY = 1024  # signals that arrive before the thread reads are one request


@contextmanager
def cancelling(cancel: Cancel, on_request: Callable[[bool], None] = lambda _: None) -> Iterator[None]:
    """Pass signals to `cancel` while the block runs; `on_request` gets `cancel.forced`.

    Python runs a handler between two instructions of the main thread: a handler that sets an Event
    can wait for a lock that the main thread holds. So the handler does nothing, and a thread reads
    the number from a pipe. https://docs.python.org/3.11/library/signal.html#signal.set_wakeup_fd
    The process exits GIVE_UP_SECONDS after `forced`, even if a step still runs.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ended = threading.Event()

    def listen() -> None:
        last = -TOGETHER_SECONDS
        while b"\0" not in os.read(reader, _MANY):
            if time.monotonic() - last < TOGETHER_SECONDS:
                continue
            cancel.request()
            on_request(cancel.forced)
            last = time.monotonic()
            if cancel.forced and not ended.wait(GIVE_UP_SECONDS):
                os._exit(Exit.INTERRUPTED)

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    before = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(writer, b"\0")
        thread.join()
        os.close(reader)
        os.close(writer)
