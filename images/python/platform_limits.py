"""Limits of the load that callers cause at the API server: answers kept for seconds, budgets of failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Clock = Callable[[], float]


class Denied(Exception):
    """The answer to a request that does not reach the server."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Answers(Generic[K, V]):
    """Answers by question, kept for `seconds`. Equal questions at the same time wait for one answer.

    An exception is not kept. The oldest answer goes when there are more than `most`.
    """

    def __init__(self, seconds: float, most: int, clock: Clock = time.monotonic) -> None:
        self._seconds, self._most, self._clock = seconds, most, clock
        self._kept: dict[K, tuple[float, asyncio.Future[V]]] = {}

    async def get(self, question: K, ask: Callable[[], Awaitable[V]]) -> V:
        """Return the kept answer, or that of `ask`."""
        now = self._clock()
        until, kept = self._kept.get(question, (0.0, None))
        if kept is None or until <= now:
            self._kept.pop(question, None)
            while len(self._kept) >= self._most:
                del self._kept[next(iter(self._kept))]
            kept = asyncio.ensure_future(ask())
            self._kept[question] = (now + self._seconds, kept)
        try:
            # A caller that disconnects must not cancel the answer of the others.
            return await asyncio.shield(kept)
        except Exception:
            if self._kept.get(question, (0.0, None))[1] is kept:
                del self._kept[question]
            raise


class Budget:
    """Failures that each sender may cause: `burst` at once, then `rate` per second."""

    def __init__(self, burst: float, rate: float, most: int, clock: Clock = time.monotonic) -> None:
        self._burst, self._rate, self._most, self._clock = burst, rate, most, clock
        self._left: dict[str, tuple[float, float]] = {}

    async def spend(self, sender: str, ask: Callable[[], Awaitable[V]]) -> V:
        """Return the answer of `ask`; a false one is a failure. Raises Denied (429) if none is left.

        The failure is reserved before, so that many questions at once cannot exceed the budget.
        """
        left, now = self._now(sender)
        if left < 1:
            raise Denied(429, "too many of your requests were refused; try again in a few seconds")
        self._set(sender, left - 1, now)
        failed = False
        try:
            answer = await ask()
            failed = not answer
            return answer
        finally:
            if not failed:  # also when the API server does not answer
                left, now = self._now(sender)
                self._set(sender, min(left + 1, self._burst), now)

    def _now(self, sender: str) -> tuple[float, float]:
        now = self._clock()
        left, at = self._left.get(sender, (self._burst, now))
        return min(self._burst, left + (now - at) * self._rate), now

    def _set(self, sender: str, left: float, now: float) -> None:
        self._left.pop(sender, None)
        while len(self._left) >= self._most:
            del self._left[next(iter(self._left))]
        if left < self._burst:
            self._left[sender] = (left, now)
