"""The step protocol, the graph of steps, and the three words a plan is written in: chain, parallel, after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from mlops_platform.base.order import in_order
from mlops_platform.base.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Difference:
    """A deviation from the wanted state: a few words for the plan, and the lines below it."""

    summary: str
    changes: tuple[str, ...] = ()
    destroys: bool = False


class Slot(Generic[T]):
    """A typed value that one step fills (in observe or run) and later steps read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._value: T | None = None

    def set(self, value: T) -> None:
        self._value = value

    @property
    def filled(self) -> bool:
        return self._value is not None

    def get(self) -> T:
        """Return the value. Raises LookupError if no step has filled it: a bug in the plan's order."""
        if self._value is None:
            raise LookupError(f"{self.name} was read before the step that makes it ran")
        return self._value


class Step(Protocol):
    """One node of the run graph. Running it twice is running it once.

    `id` is "component/act" or "cluster/act"; `layer` groups steps on the screen. `observe` is cheap, changes
    nothing and returns None if there is nothing to do; `run` makes the change, waits until it is complete,
    and raises a StepError otherwise. A Part, not the step, has the order between steps.
    """

    @property
    def id(self) -> str: ...
    @property
    def layer(self) -> str: ...
    def observe(self) -> Difference | None: ...
    def run(self, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Part:
    """Steps, and the order between them.

    `first` are the ids of the steps that start it, `last` of those that end it: a chain connects them to its
    neighbors. A part without steps passes on in `last` the steps that the next part waits for.
    """

    steps: tuple[Step, ...] = ()
    edges: frozenset[tuple[str, str]] = frozenset()  # (a step, the step it requires)
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()


Node = Step | Part


def chain(*nodes: Node) -> Part:
    """Order nodes one after the other: each starts when the one before has ended."""
    whole = Part()
    for part in map(_part, nodes):
        edges = whole.edges | part.edges | {(start, end) for start in part.first for end in whole.last}
        last = part.last if part.steps else (*whole.last, *part.last)
        whole = Part(_once(whole.steps, part.steps), edges, whole.first or part.first, last)
    return whole


def parallel(*nodes: Node) -> Part:
    """Combine nodes without an order between them."""
    parts = [_part(node) for node in nodes]
    return Part(
        _once(*(part.steps for part in parts)),
        frozenset().union(*(part.edges for part in parts)),
        tuple(dict.fromkeys(id_ for part in parts for id_ in part.first)),
        tuple(dict.fromkeys(id_ for part in parts for id_ in part.last)),
    )


def after(node: Node, *required: Node) -> Part:
    """Let a node also wait for `required`, which are in another part of the graph."""
    part, ends = _part(node), parallel(*required).last
    if not part.steps:
        return Part(last=(*part.last, *ends))
    edges = part.edges | {(start, end) for start in part.first for end in ends}
    return Part(part.steps, edges, part.first, part.last)


def _part(node: Node) -> Part:
    return node if isinstance(node, Part) else Part((node,), frozenset(), (node.id,), (node.id,))


def _once(*groups: Iterable[Step]) -> tuple[Step, ...]:
    return tuple({id(step): step for group in groups for step in group}.values())


@dataclass(frozen=True)
class Lane:
    """Steps that share something scarce: at most `width` of them run at once, in the graph's order.

    A lane is no requirement: a step that failed, or cannot start yet, does not block the others.
    """

    name: str
    width: int = 1


@dataclass(frozen=True)
class Graph:
    """Steps in an order in which each comes after its requirements; `requires` maps ids to required ids.

    `lanes` maps the ids of some steps to their lanes.
    """

    steps: tuple[Step, ...] = ()
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lanes: Mapping[str, Lane] = field(default_factory=dict)

    @classmethod
    def of(cls, *nodes: Node, lanes: Mapping[str, Lane] | None = None) -> Graph:
        """Sort nodes into a graph. Raises ValueError for an unknown requirement, a duplicate id, a cycle."""
        whole = parallel(*nodes)
        by_id = {step.id: step for step in whole.steps}
        if len(by_id) != len(whole.steps):
            ids = [step.id for step in whole.steps]
            raise ValueError(f"step twice: {sorted({i for i in ids if ids.count(i) > 1})}")
        place = {id_: n for n, id_ in enumerate(by_id)}
        unknown = sorted(edge for edge in whole.edges if edge[1] not in place)
        if unknown:
            raise ValueError(f"{unknown[0][0]} requires {unknown[0][1]}, which is no step")
        found: dict[str, list[str]] = {id_: [] for id_ in by_id}
        for step, needed in sorted(whole.edges, key=lambda edge: place[edge[1]]):
            found[step].append(needed)
        order = in_order(found)
        requires = {id_: tuple(found[id_]) for id_ in order}
        return cls(tuple(by_id[id_] for id_ in order), requires, dict(lanes or {}))

    def up_to(self, last: str) -> Graph:
        """The graph of one step and all that it requires."""
        kept = [last]
        for id_ in kept:
            kept += [needed for needed in self.requires[id_] if needed not in kept]
        steps = tuple(step for step in self.steps if step.id in kept)
        return Graph(steps, {step.id: self.requires[step.id] for step in steps}, self.lanes)
