"""The screens of served models, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import age, duration, labelled, plural, table, with_notes

if TYPE_CHECKING:
    from mlops_platform.report.models import Row


def served(row: Row, before: str, *, changed: bool, seconds: float, example: str, next_: str) -> str:
    """The model that serves, its address, and a request to paste."""
    what = f"{row.name}: version {row.version} of {row.model} serves, {row.pods} pods ready"
    lines = [f"{what} · {duration(seconds)}" if changed else f"{what} (unchanged)"]
    if before and before != row.version:
        lines += labelled("before", f"version {before}")
    lines += _addresses(row)
    lines += labelled("try", example, wrap=False)
    lines += labelled("next", next_, wrap=False)
    return "\n".join(lines)


def canary(row: Row, version: str, percent: int | None, seconds: float, again: Callable[[str], str]) -> str:
    """The canary with its share, or the version that was promoted, and the next commands."""
    if percent is None:
        lines = [f"{row.name}: version {version} of {row.model} is promoted · {duration(seconds)}"]
        return "\n".join([*lines, *_addresses(row)])
    lines = [f"{row.name}: version {version} gets {percent} % of the requests · {duration(seconds)}"]
    lines += labelled("rest", f"version {row.version}")
    lines += _addresses(row)
    lines += labelled("next", again(f"serve {row.model}/{version} --promote"), wrap=False)
    lines += labelled("", again(f"serve {row.model}/{row.version}") + "    # ends it", wrap=False)
    return "\n".join(lines)


def list_(rows: Sequence[Row], project: str, now: datetime | None = None) -> str:
    if not rows:
        command = f"mlops-platform model serve MODEL --project {project}"
        return "\n".join([f"no models are served in {project}", *labelled("next", command, wrap=False)])
    cells = [
        (r.name, r.model, r.version, r.state, r.pods, age(datetime.fromisoformat(r.since), now)) for r in rows
    ]
    notes = [(row.name, note) for row in rows if (note := _note(row))]
    return with_notes(table(("name", "model", "version", "state", "ready", "age"), cells), notes)


def show(row: Row, project: str, now: datetime | None = None) -> str:
    old = age(datetime.fromisoformat(row.since), now)
    what = f"version {row.version} of {row.model}" if row.version.isdecimal() else row.model
    lines = [f"{row.name}: {what} in {project}, {row.state}, {old} old"]
    lines += labelled("pods", f"{row.ready} of {row.wanted} of this version ready")
    lines += labelled("traffic", _traffic(row))
    lines += labelled("canary", _shares(row)) if row.canary else []
    if row.reason:
        lines += labelled("reason", row.reason)
    return "\n".join([*lines, *_addresses(row)])


def stopped(name: str, project: str, seconds: float) -> str:
    return f"{name} is stopped, its pods in {project} are gone · {duration(seconds)}"


def example(row: Row, environment: str, authority: str) -> str:
    """A request with curl: the model answers with the inputs that it takes."""
    path = f"/v2/models/{row.name}"
    if not row.address:
        return f"curl {row.inside}{path}    # in a pod of the project"
    token = f'"Authorization: Bearer $(mlops-platform token NAME --env {environment})"'
    certificate = f"--cacert {authority} " if authority else ""
    return f"curl {certificate}--header {token} {row.address}{path}"


def _addresses(row: Row) -> list[str]:
    lines = labelled("address", row.address, wrap=False) if row.address else []
    return lines + labelled("inside", row.inside, wrap=False)


def _traffic(row: Row) -> str:
    if not row.serves:
        return "none: no pod is ready"
    total, rest = sum(row.serves.values()), 100 - sum(row.canary.values())
    parts = [f"version {v}: {plural(n, 'pod')} ({rest * n // total} %)" for v, n in row.serves.items()]
    return ", ".join(parts)


def _shares(row: Row) -> str:
    return ", ".join(f"{name} {percent} %" for name, percent in row.canary.items())


def _note(row: Row) -> str:
    """Why a model is not ready, and which version serves meanwhile."""
    others = ", ".join(version for version in row.serves if version != row.version)
    if row.state == "ready":
        return f"canary {_shares(row)}" if row.canary else ""
    serves = f"version {others} serves meanwhile" if others else ""
    return "; ".join(filter(None, (row.reason, serves)))
