"""The screens of experiments of projects, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import WIDTH, age, labelled, table, with_notes

if TYPE_CHECKING:
    from mlops_platform.report.experiments import Details, Row, TrialRow

_HEIGHT = 10  # lines of the plot
_MOST = 20  # trials in the table: the best ones


def list_(rows: Sequence[Row], project: str, now: datetime | None = None) -> str:
    if not rows:
        return f"no experiments in {project}"
    cells = [
        (r.name, r.state, f"{r.ended} of {r.wanted or '∞'}", r.objective, number(r.value), _age(r, now))
        for r in rows
    ]
    notes = [(row.name, row.reason) for row in rows if row.reason]
    return with_notes(table(("name", "state", "trials", "objective", "best", "age"), cells), notes)


def show(found: Details, project: str, now: datetime | None = None) -> str:
    row = found.row
    lines = [f"{row.name}: {row.state} in {project}, {_age(row, now)} old"]
    failed = f", {row.failed} of them failed" if row.failed else ""
    lines += labelled("trials", f"{row.ended} of {row.wanted or '∞'} have ended{failed}")
    lines += labelled("objective", row.objective + (f", goal {found.goal}" if found.goal else ""))
    lines += labelled("algorithm", row.algorithm)
    if row.best:
        best = next((each for each in found.trials if each.name == row.best), None)
        lines += labelled("best", f"{number(row.value)} by {row.best}")
        lines += labelled("", _parameters(best)) if best else []
    lines += labelled("reason", row.reason) if row.reason else []
    valued = [each.value for each in found.trials if each.value is not None]
    if len(valued) > 1:
        lines += ["", *plot(valued, row.objective)]
    if found.trials:
        lines += ["", _table(found)]
    return "\n".join(lines)


def _table(found: Details) -> str:
    """The best trials first, then those without a value; not more than fit on a screen."""
    down = found.row.objective.startswith("maximize")

    def key(each: TrialRow) -> tuple[bool, float]:
        value = each.value or 0.0
        return each.value is None, -value if down else value

    shown = sorted(found.trials, key=key)[:_MOST]
    text = table(
        ("trial", "state", "value", "parameters"),
        [(each.name, each.state, number(each.value), _parameters(each)) for each in shown],
    )
    left = len(found.trials) - len(shown)
    return f"{text}\n  … and {left} more: --output json has all" if left else text


def plot(values: Sequence[float], objective: str) -> list[str]:
    """The value of each trial, in the order of their start; many trials share a column by their best."""
    low, high = min(values), max(values)
    margin = max(len(number(low)), len(number(high))) + 2
    columns = _columns(values, WIDTH - margin - 18, best=max if objective.startswith("maximize") else min)
    span = high - low or 1.0
    levels = [round((value - low) / span * (_HEIGHT - 1)) for value in columns]
    lines = []
    for level in reversed(range(_HEIGHT)):
        edge = number(high) if level == _HEIGHT - 1 else number(low) if level == 0 else ""
        marks = "".join("•" if each == level else " " for each in levels)
        lines.append(f"  {edge:>{margin - 2}} │{marks}".rstrip())
    return [*lines, f"  {'':>{margin - 2}} └{'─' * len(columns)} {len(values)} trials"]


def _columns(values: Sequence[float], most: int, best: object) -> list[float]:
    """At most so many values: neighbors become the best of them."""
    assert callable(best)
    size = -(-len(values) // most)
    return [best(values[i : i + size]) for i in range(0, len(values), size)]


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _parameters(each: TrialRow) -> str:
    return ", ".join(f"{name}={_short(value)}" for name, value in each.parameters.items())


def _short(text: str) -> str:
    """A number with few digits, another text as it is."""
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


def _age(row: Row, now: datetime | None) -> str:
    return age(datetime.fromisoformat(row.since), now)
