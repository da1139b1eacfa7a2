"""The search space of an Experiment: parameters, their values as texts, and the points of a grid."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import messages

MOST_POINTS = 1_000_000


class InvalidSpace(Exception):
    """A search space, or a setting, with which there can be no trial."""


@dataclass(frozen=True)
class Parameter:
    """A parameter. Numbers have `low`, `high` and perhaps `step`; others have `choices`."""

    name: str
    kind: int
    low: Decimal = Decimal(0)
    high: Decimal = Decimal(0)
    step: Decimal | None = None
    log: bool = False
    choices: tuple[str, ...] = ()

    def distribution(self) -> Any:
        """The parameter as Optuna has it."""
        import optuna

        if self.choices:
            return optuna.distributions.CategoricalDistribution(self.choices)
        if self.kind == messages.INT:
            whole = 1 if self.log else int(self.step or 1)
            return optuna.distributions.IntDistribution(int(self.low), int(self.high), self.log, whole)
        step = None if self.log or self.step is None else float(self.step)
        return optuna.distributions.FloatDistribution(float(self.low), float(self.high), self.log, step)

    def sample(self, source: random.Random) -> str:
        """A random value."""
        if self.choices:
            return source.choice(self.choices)
        low, high = float(self.low), float(self.high)
        if self.log:
            value = math.exp(source.uniform(math.log(low), math.log(high)))
            value = min(max(value, low), high)  # exp(log(x)) is not always x
            return str(round(value) if self.kind == messages.INT else value)
        step = self._step()
        if step is None:
            return str(source.uniform(low, high))
        return _decimal(self.low + step * source.randrange(self._count(step)))

    def read(self, text: str) -> Any:
        """The value of a text, as Optuna has it."""
        if self.choices:
            return text
        return int(text) if self.kind == messages.INT else float(text)

    def text(self, value: Any) -> str:
        """The text of a value of Optuna."""
        return str(value)

    def values(self) -> list[str]:
        """Its values in a grid. Raises InvalidSpace without a step."""
        if self.choices:
            return list(self.choices)
        step = self._step()
        if step is None:
            raise InvalidSpace(f"{self.name}: a grid needs a step: write feasibleSpace.step")
        count = self._count(step)
        if count > MOST_POINTS:
            raise InvalidSpace(f"{self.name}: {count} values in a grid: write a larger step")
        return [_decimal(self.low + step * i) for i in range(count)]

    def _step(self) -> Decimal | None:
        return self.step or (Decimal(1) if self.kind == messages.INT else None)

    def _count(self, step: Decimal) -> int:
        return int((self.high - self.low) / step) + 1


@dataclass(frozen=True)
class Grid:
    """All combinations; the last parameter changes first."""

    names: tuple[str, ...]
    values: tuple[list[str], ...]

    @property
    def size(self) -> int:
        return math.prod(len(each) for each in self.values)

    def points(self, start: int, count: int) -> list[dict[str, str]]:
        """Some of the points. Raises InvalidSpace after the last one."""
        if start + count > self.size:
            raise InvalidSpace(f"the grid has {self.size} points: write maxTrialCount: {self.size}")
        return [self._point(number) for number in range(start, start + count)]

    def _point(self, number: int) -> dict[str, str]:
        found = {}
        for name, values in zip(reversed(self.names), reversed(self.values), strict=True):
            number, index = divmod(number, len(values))
            found[name] = values[index]
        return {name: found[name] for name in self.names}


def grid(parameters: list[Parameter]) -> Grid:
    return Grid(tuple(each.name for each in parameters), tuple(each.values() for each in parameters))


def parameters_of(experiment: Any) -> list[Parameter]:
    """The parameters of an Experiment. Raises InvalidSpace."""
    found = [_parameter(each) for each in experiment.spec.parameter_specs.parameters]
    if not found:
        raise InvalidSpace("there are no parameters: write spec.parameters")
    return found


def _parameter(spec: Any) -> Parameter:
    space, name, kind = spec.feasible_space, spec.name, spec.parameter_type
    if kind in (messages.DISCRETE, messages.CATEGORICAL):
        if not space.list:
            raise InvalidSpace(f"{name}: no values: write feasibleSpace.list")
        return Parameter(name, kind, choices=tuple(space.list))
    if kind not in (messages.DOUBLE, messages.INT):
        raise InvalidSpace(f"{name}: its type is none of int, double, discrete and categorical")
    low, high = _number(name, "min", space.min), _number(name, "max", space.max)
    if low > high:
        raise InvalidSpace(f"{name}: min {space.min} is above max {space.max}")
    step = _number(name, "step", space.step) if space.step else None
    if step is not None and step <= 0:
        raise InvalidSpace(f"{name}: step {space.step} is not above 0")
    if kind == messages.INT and any(each % 1 for each in (low, high, step or Decimal(1))):
        raise InvalidSpace(f"{name}: an int has whole numbers as min, max and step")
    if space.distribution in messages.NORMAL:
        raise InvalidSpace(f"{name}: distribution: known are uniform and logUniform")
    log = space.distribution == messages.LOG_UNIFORM
    if log and low <= 0:
        raise InvalidSpace(f"{name}: logUniform needs a min above 0")
    return Parameter(name, kind, low, high, step, log)


def _decimal(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _number(name: str, key: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise InvalidSpace(f"{name}: {key} {text or '(none)'} is not a number")
    return found
