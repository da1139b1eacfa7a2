"""`dag`: DAGs of projects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.steps.projects.dags import Dags


def push(console: Console, folder: Path, project: str) -> int:
    """Make the files of a folder the DAGs of a project, in place of those it had."""
    from mlops_platform.console import dags as screens
    from mlops_platform.steps.projects.dags import read

    version = read(folder)
    with _changing(console, project) as dags:
        ids = dags.push(version)
    data = {"project": project, "version": version.name, "dags": ids, "ignored": version.ignored}
    return console.done(data, screens.pushed(project, version, ids))


def list_(console: Console, project: str) -> int:
    from dataclasses import asdict

    from mlops_platform.commands.project import require_project
    from mlops_platform.console import dags as screens
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.projects.dags import stored

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    reach(context)
    if project:
        require_project(context, project)
    found = stored(context.clients.kube, project)
    return console.done({"projects": [asdict(each) for each in found]}, screens.list_(found))


def remove(console: Console, name: str, project: str) -> int:
    """Remove one DAG with its runs."""
    dag = name if name.startswith(f"{project}.") else f"{project}.{name}"
    with _changing(console, project) as dags:
        dags.remove(dag)
    return console.done({"project": project, "removed": dag}, f"{dag} is removed, with its runs")


@contextmanager
def _changing(console: Console, project: str) -> Iterator[Dags]:
    """The DAGs of a project, with the lock of its environment."""
    from mlops_platform.commands._run import running
    from mlops_platform.commands.project import require_project
    from mlops_platform.run.connect import reach
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.projects.dags import Dags, component_of, require_current

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    with running(console, opened) as run:
        resolved = component_of(run.context)
        reach(run.context)
        require_project(run.context, project)
        require_current(run.context, resolved)
        yield Dags(run.context, resolved, project, console.say)
