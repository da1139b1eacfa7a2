"""Small real steps for tests of the engine, which record their calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlops_platform.base.progress import Progress
from mlops_platform.engine.events import StepEvent
from mlops_platform.engine.graph import Difference, Graph, Lane, Part


@dataclass
class Act:
    """A step with a difference until it has run; `work` is its action, `requires` its edges in `graph`."""

    id: str
    requires: tuple[str, ...] = ()
    work: Callable[[Progress], None] = lambda _: None
    settled: bool = False
    runs: int = 0
    layer: str = "test"

    def observe(self) -> Difference | None:
        return None if self.settled else Difference("make it so")

    def run(self, progress: Progress) -> None:
        self.runs += 1
        self.work(progress)
        self.settled = True


def graph(*acts: Act, lanes: Mapping[str, Lane] | None = None) -> Graph:
    edges = frozenset((act.id, needed) for act in acts for needed in act.requires)
    return Graph.of(Part(acts, edges), lanes=lanes)


@dataclass
class Heard:
    """A listener that stores all events."""

    steps: tuple[tuple[str, str], ...] = ()
    events: list[StepEvent] = field(default_factory=list)
    ended: bool = False

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        self.steps = steps

    def event(self, event: StepEvent) -> None:
        self.events.append(event)

    def end(self) -> None:
        self.ended = True

    def kinds(self, step: str) -> list[str]:
        return [e.kind for e in self.events if e.step == step]
