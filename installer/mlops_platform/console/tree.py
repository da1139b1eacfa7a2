"""The tree of a run as lines of text: one block per layer, with done, running and waiting steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mlops_platform.base.humanize import WIDTH, duration, plural, shorten
from mlops_platform.console.estimate import remaining
from mlops_platform.engine.events import Kind, StepEvent

_LABEL, _NAMES, _BAR, _TIME = 14, 3, 20, 7


@dataclass(frozen=True)
class _Step:
    id: str
    layer: str
    kind: Kind | None = None  # None: not started
    text: str = ""
    started: float = 0.0
    seconds: float = 0.0
    bar: str = ""

    @property
    def running(self) -> bool:
        return self.kind in ("started", "said", "fraction", "note")

    @property
    def ended(self) -> bool:
        return self.kind in ("done", "unchanged", "failed", "skipped")


class Tree:
    """A Listener that stores events; `lines` draws them at one moment of the run."""

    def __init__(self, expected: Mapping[str, float]) -> None:
        self._expected = expected
        self._steps: dict[str, _Step] = {}
        self._edges: dict[str, tuple[str, ...]] = {}

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        self._steps = {name: _Step(name, layer) for name, layer in steps}
        self._edges = edges

    def event(self, event: StepEvent) -> None:
        step = self._steps[event.step]
        if event.kind == "started":
            step = replace(step, started=event.elapsed)
        if event.kind == "note":  # printed above the tree; the step's state stays
            return
        if event.kind == "fraction" and event.total:
            filled = _BAR * event.done // event.total
            bar = "━" * filled + "·" * (_BAR - filled)
            step = replace(step, bar=f" {event.done}/{event.total} {bar}")
        else:
            step = replace(step, bar="")
        self._steps[event.step] = replace(step, kind=event.kind, text=event.text, seconds=event.seconds)

    def end(self) -> None: ...

    def lines(self, now: float) -> list[str]:
        """Draw the tree `now` seconds after the run's start."""
        found = [""]
        for layer in dict.fromkeys(step.layer for step in self._steps.values()):
            here = [step for step in self._steps.values() if step.layer == layer]
            for number, cell in enumerate(_cells(here, now)):
                found.append(f"  {'' if number else layer:<{_LABEL - 2}}{cell}")
        return [*found, "", *self._footer(now)]

    def _footer(self, now: float) -> list[str]:
        steps = list(self._steps.values())
        ended = [s for s in steps if s.kind in ("done", "unchanged")]
        running = [s for s in steps if s.running]
        parts = [f"{len(ended)} of {plural(len(steps), 'step')} done", f"{len(running)} running"]
        lines = []
        unfinished = {s.id: now - s.started if s.running else 0.0 for s in steps if not s.ended}
        path, seconds = remaining(unfinished, self._edges, self._expected)
        if path:
            parts.append(f"about {duration(max(10.0, seconds))} left" if seconds >= 5 else "nearly done")
            lines.append(shorten(f"critical path: {' → '.join(path)}", WIDTH))
        return [" · ".join(parts), *lines]


def _cells(steps: list[_Step], now: float) -> list[str]:
    """One line for done steps, one for each that runs or failed, one for those that wait."""
    done = [s for s in steps if s.kind in ("done", "unchanged")]
    cells = []
    if done:
        cells.append(_done(done, len(steps)))
    cells += [_running(s, now) for s in steps if s.running]
    for step in steps:
        if step.kind == "failed":
            cells.append(shorten(f"✘ {_name(step)}  {step.text}", WIDTH - _LABEL))
    skipped = [_name(s) for s in steps if s.kind == "skipped"]
    if skipped:
        cells.append(shorten(f"· skipped: {', '.join(skipped)}", WIDTH - _LABEL))
    waiting = [_name(s) for s in steps if s.kind is None]
    if waiting and not any(s.running for s in steps):
        cells.append(shorten(f"· {', '.join(waiting)}", WIDTH - _LABEL))
    return cells


def _name(step: _Step) -> str:
    """'postgres release'; only 'etcd' for program/etcd in the layer programs."""
    kind, _, act = step.id.partition("/")
    return act if step.layer.startswith(kind) else f"{kind} {act}"


def _done(done: list[_Step], total: int) -> str:
    """Up to three names, otherwise a count; 'unchanged' when none of them did anything."""
    worked = [s for s in done if s.kind == "done"]
    if len(done) > _NAMES or not worked:
        cached = "" if worked else " (unchanged)"
        return f"✔ {len(done)} of {total}{cached}"
    text = "  ".join(f"✔ {_name(s)} {duration(s.seconds)}" for s in worked)
    return text if len(text) <= WIDTH - _LABEL else f"✔ {len(done)} of {total}"


def _running(step: _Step, now: float) -> str:
    """Name, status or bar, and duration at the right edge."""
    time = duration(max(0.0, now - step.started)).rjust(_TIME)
    room = WIDTH - _LABEL - len(time)
    start = f"▸ {_name(step)}  "
    text = start + shorten(step.text, room - len(start) - len(step.bar) - 1) + step.bar
    return text.ljust(room) + time
