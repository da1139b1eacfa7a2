"""`job`: training jobs and Jobs of projects. As `model`, without the lock of the environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.commands._project import context_of_project, interruptible
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.run.project import ProjectContext


def list_(console: Console, project: str) -> int:
    from mlops_platform.console import jobs as screens
    from mlops_platform.report.jobs import rows_of

    rows = rows_of(context_of_project(console, project), project)
    return console.done({"jobs": [row.data for row in rows]}, screens.list_(rows, project))


def logs(console: Console, name: str, project: str, *, tail: int, follow: bool) -> int:
    """Print the logs of a job's pods, or the stored ones if its pods are gone."""
    from mlops_platform.steps.projects.jobs import find, lines, sources

    if follow and console.json:
        raise UsageError("--follow cannot be combined with --output json")
    context = context_of_project(console, project)
    kube = context.clients.kube
    job = find(kube, project, name)
    if job and follow:
        return _follow(console, kube, project, job, tail)
    found = sources(kube, project, job) if job else []
    if not found:
        return _stored(console, context, job, name, project, tail)
    texts = {str(each): lines(kube, project, each, tail) for each in found}
    state = partial(_state, context, project, job)
    return _print(console, texts, name, project, stored=False, state=state)


def _state(context: ProjectContext, project: str, job: Mapping[str, Any] | None) -> str:
    """'failed: it needs more memory than its limit'; '' for a job that is gone."""
    from mlops_platform.report.jobs import rows_of

    own = (job["kind"], job["metadata"]["name"]) if job else None
    row = next((each for each in rows_of(context, project) if (each.kind, each.name) == own), None)
    return ": ".join(filter(None, (row.words, row.reason))) if row else ""


def _follow(console: Console, kube: Kube, project: str, job: Mapping[str, Any], tail: int) -> int:
    """Wait until a pod of the job has started, and print its lines until it ends."""
    from mlops_platform.commands.logs import follow_all
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.projects.jobs import wait_started

    with waiting(console) as say:
        found = wait_started(kube, project, job, say)
    return follow_all(
        console,
        {
            str(each): kube.follow_logs(project, each.pod, container=each.container, tail=tail)
            for each in found
        },
    )


def _stored(
    console: Console,
    context: ProjectContext,
    job: Mapping[str, Any] | None,
    name: str,
    project: str,
    tail: int,
) -> int:
    """Print the stored logs. Raises UsageError if there is neither such a job nor a log of one."""
    from mlops_platform.steps.projects.jobs import bare, stored

    with stored(context, project) as kept:
        found = kept.logs(bare(name)) if kept else []
        if not found and job is None:
            raise _unknown(console, context, name, project, kept.jobs() if kept else [])
        texts = {str(each): kept.lines(bare(name), each, tail) for each in found} if kept else {}
        incomplete = [str(each) for each in found if not each.complete]
        state = partial(_state, context, project, job)
        return _print(console, texts, name, project, stored=True, state=state, incomplete=incomplete)


def _print(
    console: Console,
    texts: Mapping[str, Iterator[str]],
    name: str,
    project: str,
    *,
    stored: bool,
    state: Callable[[], str],
    incomplete: Sequence[str] = (),
) -> int:
    """Print the lines of each log; with several, each line starts with its pod and container."""
    if console.json:
        logs = {source: list(text) for source, text in texts.items()}
        data = {"project": project, "job": name, "stored": stored, "incomplete": list(incomplete)}
        return console.done({**data, "logs": logs})
    empty = True
    for source, text in texts.items():
        for line in text:
            console.raw(console.redact(f"{source}  {line}\n" if len(texts) > 1 else f"{line}\n"))
            empty = False
    if empty:
        console.say(f"! {name} has written nothing · {state() or 'it is gone'}")
    for source in incomplete:
        console.say(f"! {source} may lack lines: its pod was deleted before the log was read to the end")
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


def _job(console: Console, context: ProjectContext, name: str, project: str) -> Mapping[str, Any]:
    from mlops_platform.steps.projects.jobs import find

    job = find(context.clients.kube, project, name)
    if job is None:
        raise _unknown(console, context, name, project, ())
    return job


def _unknown(
    console: Console, context: ProjectContext, name: str, project: str, stored: Sequence[str]
) -> UsageError:
    from mlops_platform.adapters.kube.batch import find

    known = sorted(each["metadata"]["name"] for each in find(context.clients.kube, project).jobs)
    others = [each for each in stored if each not in known]
    why = f"its jobs: {', '.join(known) or 'none'}"
    return UsageError(
        f"project {project} has no job {name}",
        why=why + (f"; with stored logs only: {', '.join(others)}" if others else ""),
        command=f"mlops-platform job list --project {project} --env {console.environment}",
    )
