"""The screens of pipelines, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_platform.base.humanize import duration, plain, plural, table

Steps = Sequence[Mapping[str, Any]]


def succeeded(pipeline: str, runner: str, steps: Steps, address: str, seconds: float) -> str:
    ran = sum(each.get("state") == "succeeded" for each in steps)
    head = f"{pipeline} succeeded: {plural(ran, 'step')} · {runner} · {duration(seconds)}"
    return f"{head}\n{ended(steps, address)}"


def ended(steps: Steps, address: str) -> str:
    """The states of all steps, and where people see the run."""
    rows = [
        (plain(str(each.get("name", ""))), plain(str(each.get("state", ""))), _time(each), _attempts(each))
        for each in steps
    ]
    text = table(("step", "state", "time", ""), rows) if rows else "  no step ran"
    return f"{text}\n  run  {address}" if address else text


def _time(step: Mapping[str, Any]) -> str:
    seconds = step.get("seconds")
    return duration(seconds) if isinstance(seconds, (int, float)) and step.get("state") != "skipped" else "-"


def _attempts(step: Mapping[str, Any]) -> str:
    attempts = step.get("attempts")
    return f"{attempts} attempts" if isinstance(attempts, int) and attempts > 1 else ""
