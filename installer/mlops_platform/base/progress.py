"""Owns the words a step has for its progress; the engine turns them into events, nobody prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What running work may say. Every call is cheap and thread-safe."""

    def say(self, text: str) -> None:
        """What is happening now, in a few words: "pip 38/71", "waiting for pod minio-0: Pending"."""

    def fraction(self, done: int, total: int, what: str = "") -> None:
        """Countable progress: drawn as a bar."""

    def note(self, text: str) -> None:
        """A line that must stay in the report and the journal: a warning, a decision, a recovery."""


class Silent:
    """A Progress for callers that show nothing."""

    def say(self, text: str) -> None: ...

    def fraction(self, done: int, total: int, what: str = "") -> None: ...

    def note(self, text: str) -> None: ...
