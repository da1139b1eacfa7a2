"""The engine: runs a graph in parallel, isolates failures and journals every event."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, PlatformError, PreflightError, StepError
from mlops_platform.engine.events import Kind, Listener, StepEvent
from mlops_platform.engine.graph import Difference, Graph, Lane, Step
from mlops_platform.engine.journal import Journal


@dataclass(frozen=True)
class Failure:
    """A step that failed, and its error."""

    step: str
    error: BaseException


@dataclass(frozen=True)
class RunResult:
    """The end of a run. `times` maps each step that ran to (start, end) in seconds since the run's start."""

    done: tuple[str, ...]
    unchanged: tuple[str, ...]
    skipped: tuple[str, ...]
    failures: tuple[Failure, ...]
    seconds: float
    times: dict[str, tuple[float, float]] = field(default_factory=dict)
    critical_path: tuple[str, ...] = ()

    @property
    def critical_seconds(self) -> float:
        return sum(end - start for start, end in (self.times[s] for s in self.critical_path))

    def raise_first(self) -> None:
        """Raise the first failure; an interruption only if there is no other failure."""
        real = [f for f in self.failures if not isinstance(f.error, Interrupted)]
        for failure in (*real, *self.failures):
            raise failure.error


@dataclass(frozen=True)
class StepPlan:
    """The plan of a step: a difference, nothing, or unknown until other steps have run."""

    step: str
    layer: str
    difference: Difference | None
    unknown: str = ""


class Engine:
    """Runs one graph once."""

    def __init__(
        self,
        graph: Graph,
        journal: Journal | None,
        listeners: tuple[Listener, ...],
        cancel: Cancel,
        workers: int = 16,
    ) -> None:
        self._steps = {step.id: step for step in graph.steps}
        self._requires = graph.requires
        self._journal = journal
        self._listeners = listeners
        self._cancel = cancel
        self._workers = workers
        self._outcome: dict[str, Kind] = {}
        self._lanes = graph.lanes
        self._taken: Counter[Lane] = Counter()
        self._failures: list[Failure] = []
        self._times: dict[str, tuple[float, float]] = {}
        self._ended: queue.SimpleQueue[tuple[str, Kind]] = queue.SimpleQueue()
        self._telling = threading.Lock()
        self._zero = time.monotonic()
        self._bug = False

    def run(self) -> RunResult:
        """Run all steps that can run. Raises no step's error: see RunResult.raise_first."""
        for listener in self._listeners:
            listener.begin(tuple((s.id, s.layer) for s in self._steps.values()), dict(self._requires))
        waiting, running = dict(self._steps), 0
        while waiting or running:
            for step in self._startable(waiting, running):
                del waiting[step.id]
                running += 1
                threading.Thread(target=self._one, args=(step,), name=step.id, daemon=True).start()
            if not running:
                break
            step_id, kind = self._ended.get()
            self._outcome[step_id] = kind
            if lane := self._lanes.get(step_id):
                self._taken[lane] -= 1
            running -= 1
            self._skip(waiting)
        for step in waiting.values():
            self._end(step, "skipped", "interrupted" if self._cancel.requested else "not started")
        for listener in self._listeners:
            listener.end()
        if self._journal and self._journal.broken:
            self._failures.append(Failure("journal", _unrecorded(self._journal)))
        return self._result()

    def _startable(self, waiting: dict[str, Step], running: int) -> list[Step]:
        if self._cancel.requested or self._bug or (self._journal and self._journal.broken):
            return []
        chosen: list[Step] = []
        for step in waiting.values():
            settled = all(self._outcome.get(r) in ("done", "unchanged") for r in self._requires[step.id])
            lane = self._lanes.get(step.id)
            free = not lane or self._taken[lane] < lane.width
            if settled and free and len(chosen) < self._workers - running:
                chosen.append(step)
                if lane:
                    self._taken[lane] += 1
        return chosen

    def _skip(self, waiting: dict[str, Step]) -> None:
        """Skip all steps that depend on a failed or skipped one, and report it at once."""
        again = True
        while again:
            again = False
            for step in list(waiting.values()):
                broken = [r for r in self._requires[step.id] if self._outcome.get(r) in ("failed", "skipped")]
                if broken:
                    del waiting[step.id]
                    self._end(step, "skipped", f"after {broken[0]}")
                    again = True

    def _end(self, step: Step, kind: Kind, text: str) -> None:
        self._outcome[step.id] = kind
        self._tell(step, kind, text)

    def _one(self, step: Step) -> None:
        """Observe one step in its thread, run it on a difference, report."""
        start = time.monotonic() - self._zero
        kind: Kind = "failed"
        try:
            kind = self._observe_and_run(step, start)
        except PlatformError as error:
            self._failed(step, error, start)
        except BaseException as error:  # noqa: BLE001
            # Any other error is a bug. The user gets its trace; no further step is started.
            self._bug = True
            if self._journal:
                self._journal.write("bug", step=step.id, trace=traceback.format_exc())
            self._failed(step, error, start)
        finally:
            self._ended.put((step.id, kind))

    def _observe_and_run(self, step: Step, start: float) -> Kind:
        difference = step.observe()
        if difference is None:
            self._tell(step, "unchanged")
            return "unchanged"
        if self._cancel.requested:
            raise Interrupted(f"{step.id}: interrupted before it started")
        self._tell(step, "started", difference.summary)
        step.run(_Reporter(self, step))
        end = time.monotonic() - self._zero
        self._times[step.id] = (start, end)
        self._tell(step, "done", difference.summary, seconds=end - start)
        return "done"

    def _failed(self, step: Step, error: BaseException, start: float) -> None:
        self._failures.append(Failure(step.id, error))
        self._tell(step, "failed", str(error), seconds=time.monotonic() - self._zero - start, error=error)

    def _tell(
        self,
        step: Step,
        kind: Kind,
        text: str = "",
        *,
        seconds: float = 0.0,
        done: int = 0,
        total: int = 0,
        error: BaseException | None = None,
    ) -> None:
        elapsed = time.monotonic() - self._zero
        if self._journal and kind not in ("said", "fraction"):
            self._journal.write(f"step_{kind}", step=step.id, **_fields(text, seconds, error))
        with self._telling:
            for listener in self._listeners:
                listener.event(StepEvent(kind, step.id, step.layer, elapsed, text, seconds, done, total))

    def _result(self) -> RunResult:
        def of(kind: Kind) -> tuple[str, ...]:
            return tuple(s for s in self._steps if self._outcome.get(s) == kind)

        return RunResult(
            of("done"),
            of("unchanged"),
            of("skipped"),
            tuple(self._failures),
            time.monotonic() - self._zero,
            dict(self._times),
            critical_path(self._times, self._requires),
        )


def _unrecorded(journal: Journal) -> StepError:
    return StepError(
        "the run's journal cannot be written; nothing new was started",
        why=str(journal.broken),
        hint="make room on that disk, then run the same command again",
        command=f"df -h {journal.folder}",
    )


def _fields(text: str, seconds: float, error: BaseException | None) -> dict[str, object]:
    fields: dict[str, object] = {}
    if text:
        fields["text"] = text
    if seconds:
        fields["seconds"] = round(seconds, 3)
    if isinstance(error, PlatformError):
        transient = isinstance(error, StepError) and error.transient
        fields |= {
            "class": "transient" if transient else "permanent",
            "what": error.what,
            "why": error.why,
            "hint": error.hint,
            "command": error.command,
        }
    return fields


def critical_path(
    times: dict[str, tuple[float, float]], edges: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The chain of steps that determined the run's duration, found backwards from the last to end."""
    if not times:
        return ()
    path = [max(times, key=lambda s: times[s][1])]
    while True:
        before = [s for s in _ran_before(path[0], times, edges) if times[s][1] <= times[path[0]][1]]
        if not before:
            return tuple(path)
        path.insert(0, max(before, key=lambda s: times[s][1]))


def _ran_before(
    step: str, times: dict[str, tuple[float, float]], edges: Mapping[str, tuple[str, ...]]
) -> set[str]:
    """The nearest requirements that ran, looking through those that were unchanged."""
    found: set[str] = set()
    for needed in edges.get(step, ()):
        found |= {needed} if needed in times else _ran_before(needed, times, edges)
    return found


def observe_all(graph: Graph) -> tuple[StepPlan, ...]:
    """Observe all steps, and return what each would do.

    A step that depends, directly or not, on one with a difference may have nothing to observe yet: its own
    difference is unknown until then. Without such a dependency its error is raised.
    """
    planned: list[StepPlan] = []
    until: dict[str, str] = {}  # the first step with a difference below each step
    for step in graph.steps:
        before = next((until[r] for r in graph.requires[step.id] if r in until), "")
        try:
            found = StepPlan(step.id, step.layer, step.observe())
        except (LookupError, StepError, PreflightError) as error:  # a program may not be built yet
            if not before:
                raise
            found = StepPlan(step.id, step.layer, None, f"until {before}: {error}")
        planned.append(found)
        if before or found.difference:
            until[step.id] = before or step.id
    return tuple(planned)


class _Reporter:
    """The Progress of a running step."""

    def __init__(self, engine: Engine, step: Step) -> None:
        self._engine, self._step = engine, step

    def say(self, text: str) -> None:
        self._engine._tell(self._step, "said", text)

    def fraction(self, done: int, total: int, what: str = "") -> None:
        self._engine._tell(self._step, "fraction", what, done=done, total=total)

    def note(self, text: str) -> None:
        self._engine._tell(self._step, "note", text)
