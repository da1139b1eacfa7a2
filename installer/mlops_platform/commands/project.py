"""`project`: namespaces of teams, with members, quota, policies, and what components do for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.report.projects import Details
    from mlops_platform.run.context import Context
    from mlops_platform.run.open import Opened
    from mlops_platform.steps.projects.model import Project


def add(console: Console, name: str, members: Sequence[str], quota: Sequence[str]) -> int:
    """Make a project. An existing one keeps what is not given."""
    from mlops_platform.commands._run import counts, running
    from mlops_platform.console import projects as screens
    from mlops_platform.environment.issuer import provider
    from mlops_platform.plan_projects import plan_project
    from mlops_platform.report.projects import details_of
    from mlops_platform.run.connect import reach
    from mlops_platform.steps.projects.cluster import find
    from mlops_platform.steps.projects.keep import being_removed
    from mlops_platform.steps.projects.model import Project
    from mlops_platform.steps.projects.options import parse

    opened, look = _open(console)
    own = provider(look.environment, look.catalog) is not None
    given, changed = parse(name, members, quota, look.catalog, own_groups=own)
    reach(look)
    with running(console, opened) as run:
        reach(run.context)
        existing = find(run.context, run.context.clients.kube, name)
        if existing and existing.removing:
            raise being_removed(run.context, name)
        project = (existing or Project(name)).changed(given if members else None, changed)
        result = run.engine(plan_project(run.context, project))
        details = details_of(run.context, project)
    text = screens.added(details, str(project.quota), console.environment, result.seconds)
    return console.done(counts(result) | {"project": details.data}, text)


def list_(console: Console) -> int:
    from dataclasses import asdict

    from mlops_platform.console import projects as screens
    from mlops_platform.report.projects import rows_of
    from mlops_platform.run.connect import reach

    _, context = _open(console)
    reach(context)
    rows = rows_of(context)
    text = screens.list_(rows) if rows else "no projects yet; `mlops-platform project add NAME`"
    return console.done({"projects": [asdict(row) for row in rows]}, text)


def show(console: Console, name: str) -> int:
    from mlops_platform.console import projects as screens
    from mlops_platform.run.connect import reach

    _, context = _open(console)
    reach(context)
    project, details = _found(context, name)
    return console.done({"project": details.data}, screens.show(details, str(project.quota)))


def init_example(console: Console, name: str, folder: Path | None) -> int:
    """Write the example of the component that runs DAGs into a folder of the user."""
    from mlops_platform.console import projects as screens
    from mlops_platform.steps.projects.dags import component_of, write_example
    from mlops_platform.steps.projects.options import parse

    _, context = _open(console)
    parse(name, (), (), context.catalog, own_groups=False)
    target = folder or Path(f"{name}-example")
    written = write_example(component_of(context), target, name)
    data = {"project": name, "folder": str(target), "files": written}
    return console.done(data, screens.example(name, str(target), written))


def import_(console: Console, name: str, items: Sequence[str]) -> int:
    """Move into a project what components had before they had projects; without items, list it."""
    from mlops_platform.commands._run import running
    from mlops_platform.console import projects as screens
    from mlops_platform.run.connect import reach
    from mlops_platform.steps.projects.imports import Imports, by_component

    opened, look = _open(console)
    chosen = by_component(look, items)
    reach(look)
    require_project(look, name)
    with running(console, opened) as run:
        reach(run.context)
        imports = Imports(run.context, name)
        if not chosen:
            found = imports.found()
            return console.done({"project": name, "items": found}, screens.importable(name, found))
        moved = imports.move(chosen)
    return console.done({"project": name, "moved": moved}, "\n".join(moved))


def remove(console: Console, name: str, *, force: bool, keep_data: bool, yes: bool) -> int:
    from mlops_platform.commands._run import counts, running
    from mlops_platform.console import projects as screens
    from mlops_platform.plan_projects import plan_removal
    from mlops_platform.run.connect import reach

    opened, look = _open(console)
    reach(look)
    _, details = _found(look, name)
    if details.running and not force:
        raise UsageError(
            f"project {name} has {len(details.running)} running workloads; nothing was changed",
            why="\n".join(details.running),
            hint="delete them, or add --force",
            command=f"mlops-platform project remove {name} --force --env {console.environment}",
        )
    if not yes and not _agreed(console, details, keep_data=keep_data):
        console.text(f"{name}: left as it is")
        return Exit.DONE
    with running(console, opened) as run:
        reach(run.context)
        result = run.engine(plan_removal(run.context, name, keep_data=keep_data))
    data = counts(result) | {"project": name, "kept": details.holds if keep_data else {}}
    return console.done(data, screens.removed(name, result.seconds, details.holds, keep_data=keep_data))


def _open(console: Console) -> tuple[Opened, Context]:
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    return opened, read_only(opened)


def require_project(context: Context, name: str) -> Project:
    """The project. Raises UsageError with the names of all projects if there is none."""
    from mlops_platform.steps.projects.cluster import find, namespaces

    kube = context.clients.kube
    project = find(context, kube, name)
    if project is None:
        known = [each["metadata"]["name"] for each in namespaces(context, kube)]
        raise UsageError(
            f"{context.environment.name} has no project {name}",
            why=f"known: {', '.join(sorted(known)) or 'none yet'}",
            command=f"mlops-platform project list --env {context.environment.name}",
        )
    return project


def _found(context: Context, name: str) -> tuple[Project, Details]:
    from mlops_platform.report.projects import details_of

    project = require_project(context, name)
    return project, details_of(context, project)


def _agreed(console: Console, details: Details, *, keep_data: bool) -> bool:
    """Ask once; if data is deleted, the answer is the project's name."""
    from mlops_platform.console import projects as screens

    name = details.row.name
    if not console.asks:
        raise UsageError(
            f"project remove needs a confirmation to remove {name}, and there is no terminal",
            hint="add --yes in scripts; nothing was changed",
            command=f"mlops-platform project remove {name} --yes --env {console.environment}",
        )
    console.say(screens.removal(details, keep_data=keep_data))
    return bool(console.confirm(f"Remove project {name}?", "" if keep_data else name))
