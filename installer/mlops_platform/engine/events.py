"""Events of the engine, for the journal and the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["started", "said", "fraction", "note", "done", "unchanged", "failed", "skipped"]


@dataclass(frozen=True)
class StepEvent:
    """One event of a step; `elapsed` and `seconds` count from the start of the run and of the step."""

    kind: Kind
    step: str
    layer: str
    elapsed: float
    text: str = ""
    seconds: float = 0.0
    done: int = 0
    total: int = 0


class Listener(Protocol):
    """A display of a run, called from several threads, one call at a time."""

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        """Take all steps as (id, layer), and what each requires, before the first event."""

    def event(self, event: StepEvent) -> None: ...

    def end(self) -> None: ...
