"""`job`: training jobs and Jobs of projects. As `model`, without the lock of the environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.commands._project import context_of_project, interruptible
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.context import Context


def list_(console: Console, project: str) -> int:
    from mlops_platform.console import jobs as screens
    from mlops_platform.report.jobs import rows_of

    rows = rows_of(context_of_project(console, project), project)
    return console.done({"jobs": [row.data for row in rows]}, screens.list_(rows, project))


def logs(console: Console, name: str, project: str, *, tail: int, follow: bool) -> int:
    """Print the logs of a job's pods; with several, each line starts with its pod and container."""
    from mlops_platform.commands.logs import follow_all
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.projects.jobs import lines, sources, wait_started

    if follow and console.json:
        raise UsageError("--follow cannot be combined with --output json")
    context = context_of_project(console, project)
    kube = context.clients.kube
    job = _job(console, context, name, project)
    if follow:
        with waiting(console) as say:
            found = wait_started(kube, project, job, say)
        logs_ = {
            str(each): kube.follow_logs(project, each.pod, container=each.container, tail=tail)
            for each in found
        }
        return follow_all(console, logs_)
    found = sources(kube, project, job)
    texts = {str(source): list(lines(kube, project, source, tail)) for source in found}
    if console.json:
        return console.done({"project": project, "job": name, "logs": texts})
    for source, text in texts.items():
        for line in text:
            console.raw(console.redact(f"{source}  {line}\n" if len(texts) > 1 else f"{line}\n"))
    if not any(texts.values()):
        console.say(f"! {name} has written nothing yet")
    return Exit.DONE


def stop(console: Console, name: str, project: str) -> int:
    """Delete a job, and wait until its pods are gone."""
    from mlops_platform.console import jobs as screens
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.projects.jobs import stop as delete

    started = time.monotonic()
    context = context_of_project(console, project)
    job = _job(console, context, name, project)
    command = f"mlops-platform job list --project {project} --env {console.environment}"
    with interruptible(command), waiting(console) as say:
        delete(context.clients.kube, project, job, say)
    kind, own = job["kind"], job["metadata"]["name"]
    text = screens.stopped(kind, own, project, time.monotonic() - started)
    return console.done({"project": project, "kind": kind, "stopped": own}, text)


def _job(console: Console, context: Context, name: str, project: str) -> Mapping[str, Any]:
    from mlops_platform.adapters.kube.batch import find as find_all
    from mlops_platform.steps.projects.jobs import find

    job = find(context.clients.kube, project, name)
    if job is None:
        known = sorted(each["metadata"]["name"] for each in find_all(context.clients.kube, project).jobs)
        raise UsageError(
            f"project {project} has no job {name}",
            why=f"its jobs: {', '.join(known) or 'none'}",
            command=f"mlops-platform job list --project {project} --env {console.environment}",
        )
    return job
