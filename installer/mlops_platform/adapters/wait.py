"""Waits: poll with a deadline and back-off, and report the last observation."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import WaitTimedOut

T = TypeVar("T")


@dataclass(frozen=True)
class Pending:
    """The wait continues; the text describes the current observation for the screen."""

    seen: str


def wait_until(
    what: str,
    observe: Callable[[], T | Pending],
    *,
    seconds: float,
    cancel: Cancel | None = None,
    on_seen: Callable[[str], None] | None = None,
    first_delay: float = 0.05,
    longest_delay: float = 0.25,
    hint: str = "",
    command: str = "",
) -> T:
    """Call `observe` until its result is not Pending, and return that result.

    The delay doubles from `first_delay` to `longest_delay` seconds. `on_seen` gets every new
    observation. Raises WaitTimedOut after `seconds`, with the last observation as `why`, and
    Interrupted when `cancel` is requested. An exception of `observe` is not swallowed.
    """
    flag = cancel or Cancel()
    deadline = time.monotonic() + seconds
    delay, last = first_delay, ""
    while True:
        result = observe()
        if not isinstance(result, Pending):
            return result
        if result.seen != last:
            last = result.seen
            if on_seen:
                on_seen(last)
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimedOut(
                f"{what}: not there after {seconds:.0f} s",
                why=f"last seen: {last}",
                hint=hint,
                command=command,
            )
        flag.pause(min(delay, left))
        delay = min(delay * 2, longest_delay)
