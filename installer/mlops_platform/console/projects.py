"""The screens of projects, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import WIDTH, age, duration, labelled, plural, shorten, table

if TYPE_CHECKING:
    from mlops_platform.report.projects import Details, Row


def added(details: Details, quota: str, environment: str, seconds: float) -> str:
    """The new or changed project, and the next command."""
    name = details.row.name
    lines = [f"{name}: namespace {name}, restricted, quota {quota} · {duration(seconds)}"]
    lines += _about(details)
    lines += labelled("next", f"mlops-platform project show {name} --env {environment}", wrap=False)
    return "\n".join(lines)


def show(details: Details, quota: str, now: datetime | None = None) -> str:
    row = details.row
    lines = [f"{row.name}: namespace {row.name}, {row.state}, quota {quota}, {_age(row, now)} old"]
    lines += _about(details)
    keys = [key for key in ("cpu", "memory", "gpu", "storage", "pods") if row.quota[key] != "0"]
    lines += labelled("used", ", ".join(f"{key} {row.share(key)}" for key in keys))
    lines += labelled("running", ", ".join(details.running) or "nothing")
    return "\n".join(lines)


def list_(rows: Sequence[Row], now: datetime | None = None) -> str:
    cells = [
        (
            row.name,
            *(row.share(key) for key in ("cpu", "memory", "gpu")),
            _age(row, now) if row.state == "ready" else row.state,
        )
        for row in rows
    ]
    lines = table(("project", "cpu", "memory", "gpu", "age"), cells).splitlines()
    width = max(map(len, lines))
    members = ["members", *(", ".join(row.members) or "-" for row in rows)]
    room = max(16, WIDTH - width - 2)
    return "\n".join(
        f"{line:<{width}}  {shorten(text, room)}" for line, text in zip(lines, members, strict=True)
    )


def example(project: str, folder: str, files: Sequence[str]) -> str:
    """The files of the example, and the next command."""
    lines = [f"{folder}: {', '.join(files)}"]
    lines += labelled("next", f"mlops-platform dag push {folder} --project {project}", wrap=False)
    return "\n".join(lines)


def importable(project: str, found: Sequence[Mapping[str, str]]) -> str:
    """The data from before projects, and the next command."""
    if not found:
        return "there is no data from before projects"
    items = [f"{each['kind']}/{each['name']}" for each in found]
    lines = [table(("item", "content"), [(i, each["about"]) for i, each in zip(items, found, strict=True)])]
    lines += labelled("next", f"mlops-platform project import {project} {items[0]} …", wrap=False)
    return "\n".join(lines)


def removal(details: Details, *, keep_data: bool, now: datetime | None = None) -> str:
    """What `project remove` deletes, above its question."""
    row = details.row
    lines = [f"! project {row.name}: {plural(len(row.members), 'member')}, {_age(row, now)} old"]
    lines += labelled("deletes", f"namespace {row.name} with everything in it")
    lines += _held("keeps" if keep_data else "", details.holds)
    if details.running:
        lines += labelled("running", ", ".join(details.running))
    return "\n".join(lines)


def removed(name: str, seconds: float, holds: Mapping[str, str], *, keep_data: bool) -> str:
    lines = [f"{name} is removed, nothing is left of it · {duration(seconds)}"]
    if keep_data:
        lines = [f"{name} is removed, its data is kept · {duration(seconds)}"]
    return "\n".join([*lines, *(_held("kept", holds) if keep_data else [])])


def one_line(names: Sequence[str]) -> str:
    """'2 (churn, fraud)'"""
    return f"{len(names)} ({', '.join(names)})"


def _about(details: Details) -> list[str]:
    row = details.row
    lines = labelled("members", ", ".join(row.members) or "none; `project add` with --member changes them")
    lines += _held("stores", details.holds)
    lines += labelled("accounts", ", ".join(details.accounts))
    lines += labelled("network", ", ".join([*details.reaches, "its own pods", "DNS"]))
    if details.simulated and row.quota["gpu"] != "0":
        lines += labelled("gpu", f"simulated: the node advertises {details.simulated}, without hardware")
    return lines


def _held(label: str, holds: Mapping[str, str]) -> list[str]:
    texts = [f"{name}: {text}" for name, text in holds.items()]
    return [line for i, text in enumerate(texts) for line in labelled("" if i else label, text)]


def _age(row: Row, now: datetime | None) -> str:
    return age(datetime.fromisoformat(row.since), now) if row.since else "-"
