"""The screens of jobs of projects, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import age, duration, table, with_notes

if TYPE_CHECKING:
    from mlops_platform.report.jobs import Row


def list_(rows: Sequence[Row], project: str, now: datetime | None = None) -> str:
    if not rows:
        return f"no jobs in {project}"
    cells = [(r.name, r.kind, r.words, age(datetime.fromisoformat(r.since), now)) for r in rows]
    notes = [(row.name, row.reason) for row in rows if row.reason]
    return with_notes(table(("name", "kind", "state", "age"), cells), notes)


def stopped(kind: str, name: str, project: str, seconds: float) -> str:
    return f"{kind} {name} is deleted, its pods in {project} are gone · {duration(seconds)}"
