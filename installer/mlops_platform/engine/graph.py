"""Owns the step protocol: observe, act only on a difference, report; and slots for typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from mlops_platform.base.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """What is not as it should be. `summary` is a few words for the plan; `changes` the lines below it."""

    summary: str
    changes: tuple[str, ...] = ()
    destroys: bool = False


class Slot(Generic[T]):
    """A typed value one step fills (in observe or run) and later steps read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._value: T | None = None

    def set(self, value: T) -> None:
        self._value = value

    @property
    def filled(self) -> bool:
        return self._value is not None

    def get(self) -> T:
        """Raises LookupError, a bug in the plan's edges, when nobody filled it yet."""
        if self._value is None:
            raise LookupError(f"{self.name} was read before the step that makes it ran")
        return self._value


class Step(Protocol):
    """One node of the run graph. Running it twice is running it once.

    `id` is "component/act" or "cluster/act"; `layer` groups steps on the screen; `requires` names the
    ids that must be done before. `observe` is cheap, changes nothing and returns None when all is as
    it should be; `run` makes it so, waits until it is, and raises a StepError otherwise.
    """

    @property
    def id(self) -> str: ...
    @property
    def layer(self) -> str: ...
    @property
    def requires(self) -> tuple[str, ...]: ...
    def observe(self) -> Difference | None: ...
    def run(self, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Graph:
    """Steps in an order in which each stands after what it requires.

    `lanes` maps ids to the name of a lane: steps of one run one at a time, in this order. It is no
    requirement: a step that failed, or is not ready to run yet, keeps nobody waiting.
    """

    steps: tuple[Step, ...] = field(default=())
    lanes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: list[Step], lanes: Mapping[str, str] | None = None) -> Graph:
        """Sort; raises ValueError on an unknown requirement, a duplicate id or a cycle."""
        by_id = {step.id: step for step in steps}
        if len(by_id) != len(steps):
            ids = [step.id for step in steps]
            raise ValueError(f"step twice: {sorted({i for i in ids if ids.count(i) > 1})}")
        done: dict[str, Step] = {}

        def visit(step: Step, trail: tuple[str, ...]) -> None:
            if step.id in trail:
                raise ValueError("cycle of steps: " + " → ".join([*trail, step.id]))
            for needed in step.requires:
                if needed not in by_id:
                    raise ValueError(f"{step.id} requires {needed}, which is no step")
                if needed not in done:
                    visit(by_id[needed], (*trail, step.id))
            done[step.id] = step

        for step in steps:
            if step.id not in done:
                visit(step, ())
        return cls(tuple(done.values()), dict(lanes or {}))
