"""The scripts of components for projects, run as Jobs in the components' namespaces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.projects import ProjectsPart
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.projects.model import Project

_FILE = "projects.json"
SYNCED = "synced.mlops-platform/"  # and the component's name: an annotation of the namespace


def components_with_scripts(context: Context) -> list[ResolvedComponent]:
    """The chosen components that do something for each project."""
    return [
        each
        for each in context.resolved.values()
        if each.component.projects and each.component.projects.script
    ]


def sync_job(resolved: ResolvedComponent, projects: Sequence[Project]) -> ScriptJob:
    """The Job that makes what is missing for all projects."""
    files = {_FILE: json.dumps([each.entry for each in projects], indent=1)}
    return replace(_job(resolved, ("sync",), {}), files=files)


def remove_job(resolved: ResolvedComponent, project: str, *, keep_data: bool) -> ScriptJob:
    """The Job that removes what belongs to a project."""
    job = _job(resolved, ("remove",), {"PROJECT": project, "KEEP_DATA": str(keep_data).lower()})
    # The smoke test removes two projects at once; 63 characters are too few for both names.
    return replace(job, name=f"{job.name}-{short_digest(project)[:8]}")


def annotation(resolved: ResolvedComponent) -> str:
    """The annotation that records the digest with which the component's script ran for a project."""
    return SYNCED + resolved.name


def digest(resolved: ResolvedComponent, project: Project) -> str:
    """Covers the script, its image and its input for this project; another digest runs the script again."""
    return short_digest([_job(resolved, ("sync",), {}).digest, project.entry])


def outdated(resolved: ResolvedComponent, projects: Sequence[Project]) -> list[Project]:
    """The projects for which the component's script has not run with the current input."""
    key = annotation(resolved)
    return [each for each in projects if each.annotations.get(key) != digest(resolved, each)]


def _job(resolved: ResolvedComponent, arguments: tuple[str, ...], env: Mapping[str, str]) -> ScriptJob:
    part = part_of(resolved)
    return ScriptJob(
        name=f"{resolved.name}-projects",
        namespace=resolved.namespace,
        image=resolved.reference(part.image),
        scripts={name: resolved.text(name) for name in (part.script, *part.files)},
        arguments=arguments,
        secrets={resolved.secret(key): key for key in part.secrets},
        env={**substitute(part.env, resolved.variables), **env},
        memory=part.memory,
        seconds=part.seconds,
        audience=resolved.audience if part.identity else "",
        token=part.token,
    )


def smoke_job(resolved: ResolvedComponent, project: str, other: str, scripts: Mapping[str, str]) -> ScriptJob:
    """The Job of the component's smoke test in a project, beside the other `scripts`."""
    part = part_of(resolved)
    return ScriptJob(
        name=f"{resolved.name}-smoke",
        namespace=project,
        image=resolved.reference(part.image),
        scripts={part.smoke: resolved.text(part.smoke), **scripts},
        arguments=("probe",),
        env={**substitute(part.env, resolved.variables), "PROJECT": project, "OTHER": other},
        memory=part.memory,
        seconds=part.seconds,
        token=part.token,
        account=TRAINER,
    )


def dags_job(
    resolved: ResolvedComponent, action: str, project: str, given: Mapping[str, object] | None = None
) -> ScriptJob:
    """The Job that stores, lists or removes DAGs; `given` is its input."""
    part = part_of(resolved)
    assert part.dags, "asked for the DAGs of a component without them"
    job = _job(resolved, (action,), {"PROJECT": project})
    return replace(
        job,
        name=f"{resolved.name}-dags-{short_digest([project, action])[:8]}",
        scripts={name: resolved.text(name) for name in (part.dags.script, *part.files)},
        files={"input.json": json.dumps(given)} if given else {},
    )


def imports_job(
    resolved: ResolvedComponent, action: str, project: str, items: Sequence[tuple[str, str]]
) -> ScriptJob:
    """The Job that lists or moves what the component had before it had projects."""
    part = part_of(resolved)
    assert part.imports, "asked for imports of a component without them"
    given = {"project": project, "items": [{"kind": kind, "name": name} for kind, name in items]}
    names = (part.imports.script, *part.imports.files, part.script, *part.files)
    return replace(
        _job(resolved, (action,), {}),
        name=f"{resolved.name}-import-{short_digest(project)[:8]}",
        scripts={name: resolved.text(name) for name in names},
        files={"input.json": json.dumps(given)},
    )


def result_of(log: str, mark: str) -> dict[str, Any]:
    """The object in the last line with the mark. Raises StepError: code of users may end the program."""
    lines = [line for line in log.splitlines() if line.startswith(mark)]
    try:
        found = json.loads(lines[-1].removeprefix(mark))
    except (IndexError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise StepError(
            "the result of the Job could not be read", why="\n".join(log.splitlines()[-12:]) or "no output"
        )
    return found


def parse_job(resolved: ResolvedComponent, project: str, files: Mapping[str, str]) -> ScriptJob:
    """The Job in the project that parses DAGs, as an account without any right or token."""
    part = part_of(resolved)
    assert part.dags, "asked for the DAGs of a component without them"
    return ScriptJob(
        name="dags-parse",
        namespace=project,
        image=resolved.reference(resolved.image),
        scripts={part.dags.parse: resolved.text(part.dags.parse)},
        arguments=("parse",),
        env={"PROJECT": project, "CODE": "/files/dags.json"},
        memory="768Mi",
        seconds=600,
        files={"dags.json": json.dumps(files)},
        account="default",
    )


def part_of(resolved: ResolvedComponent) -> ProjectsPart:
    part = resolved.component.projects
    assert part, "asked for the part of a component without one"
    return part
