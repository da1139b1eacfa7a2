"""A Progress that records its calls."""

from __future__ import annotations


class RecordingProgress:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.fractions: list[tuple[int, int, str]] = []
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def fraction(self, done: int, total: int, what: str = "") -> None:
        self.fractions.append((done, total, what))

    def note(self, text: str) -> None:
        self.notes.append(text)
