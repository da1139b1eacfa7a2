"""`experiment`: searches for parameters in projects. They are only read here."""

from __future__ import annotations

from mlops_platform.commands._project import context_of_project
from mlops_platform.console import Console


def list_(console: Console, project: str) -> int:
    from mlops_platform.console import experiments as screens
    from mlops_platform.report.experiments import rows_of

    rows = rows_of(context_of_project(console, project).clients.kube, project)
    return console.done({"experiments": [row.data for row in rows]}, screens.list_(rows, project))


def show(console: Console, name: str, project: str) -> int:
    from mlops_platform.console import experiments as screens
    from mlops_platform.report.experiments import details_of

    found = details_of(context_of_project(console, project).clients.kube, project, name)
    return console.done({"project": project, **found.data}, screens.show(found, project))
