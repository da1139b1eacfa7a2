"""The screens of DAGs of projects, as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import ago, labelled, plural, table

if TYPE_CHECKING:
    from mlops_platform.steps.projects.dags import Stored, Version


def pushed(project: str, version: Version, dags: Sequence[str]) -> str:
    """The DAGs of the new version."""
    lines = [f"{project}: version {version.name} with {plural(len(dags), 'DAG')}"]
    lines += labelled("DAGs", ", ".join(dags) or "none")
    if version.ignored:
        files = ", ".join(version.ignored)
        lines += labelled("ignored", f"{files}: tasks have the packages of the image only")
    return "\n".join(lines)


def list_(found: Sequence[Stored], now: datetime | None = None) -> str:
    rows = [
        (dag, each.project, file, each.version, ago(datetime.fromisoformat(each.pushed), now))
        for each in found
        for dag, file in sorted(each.dags.items())
    ]
    return table(("dag", "project", "file", "version", "pushed"), rows) if rows else "no DAGs of projects yet"
