"""Progress of a step; the engine turns it into events."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receiver of progress. Every call is cheap and thread-safe."""

    def say(self, text: str) -> None:
        """Report the current action in a few words: "waiting for pod minio-0: Pending"."""

    def fraction(self, done: int, total: int, what: str = "") -> None:
        """Report progress as a count, drawn as a bar."""

    def note(self, text: str) -> None:
        """Add a line to the report and the journal: a warning, a decision, a recovery."""


class Silent:
    """Progress that shows nothing."""

    def say(self, text: str) -> None: ...

    def fraction(self, done: int, total: int, what: str = "") -> None: ...

    def note(self, text: str) -> None: ...
