"""Owns what the engine tells: one frozen event a happening, for the journal and for the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["started", "said", "fraction", "note", "done", "unchanged", "failed", "skipped"]


@dataclass(frozen=True)
class StepEvent:
    """`elapsed` and `seconds` are seconds since the run's and the step's start."""

    kind: Kind
    step: str
    layer: str
    elapsed: float
    text: str = ""
    seconds: float = 0.0
    done: int = 0
    total: int = 0


class Listener(Protocol):
    """Anything that shows a run. Called from several threads, one call at a time."""

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        """All steps as (id, layer) and what each requires, before the first event."""

    def event(self, event: StepEvent) -> None: ...

    def end(self) -> None: ...
