"""`model`: models of projects, served and scored.

These commands change objects that belong to the members of a project, as kubectl does: without the lock of
the environment, because `up` never writes these objects.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.commands._canary import end_canary
from mlops_platform.commands._models import require_same_model, row_of, unknown
from mlops_platform.commands._project import context_of_project, interruptible, whole_context_of_project
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.project import ProjectContext


def serve(
    console: Console, reference: str, project: str, *, name: str, replicas: str, cpu: str, memory: str
) -> int:
    """Serve a version of a model, and wait until it answers."""
    from mlops_platform.adapters.kube.inference import API, KIND, canaries_of
    from mlops_platform.console import models as screens
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.manifest import manifest
    from mlops_platform.steps.models.options import parse
    from mlops_platform.steps.models.registry import opened, registry_of, resolve
    from mlops_platform.steps.models.serve import LoadFailed, Target, apply, retry, wait

    started = time.monotonic()
    wanted = parse(reference, name, replicas, cpu, memory)
    context = context_of_project(console, project)
    kube = context.clients.kube
    with opened(context, project) as registry:
        found = resolve(registry, wanted.reference, project)
    if found.note:
        console.say(f"! {found.note}")
    existing = kube.get(API, KIND, wanted.name, project)
    if existing and not wanted.named:
        require_same_model(console, existing, found.model, project)
    if existing and canaries_of(existing):
        end_canary(console, context, existing, wanted.name, found, project)
        console.say(f"! the canary of {wanted.name} has ended")
        existing = kube.get(API, KIND, wanted.name, project)
    target = Target(console.environment, project, wanted.name, found.model, found.version)
    _, part = registry_of(context)
    described = manifest(part, project, wanted.name, found, wanted.sizes, existing)
    with waiting(console) as say:
        applied = apply(kube, described, existing, say)
    if not applied.changed:
        retry(kube, target)
    try:
        with interruptible(target.command(f"show {target.name}")), waiting(console) as say:
            wait(kube, target, say)
    except LoadFailed:
        console.add({"model": row_of(console, context, wanted.name, project).data})
        raise
    row = row_of(console, context, wanted.name, project)
    seconds = time.monotonic() - started
    data = {"model": row.data, "before": applied.before, "changed": applied.changed}
    text = screens.served(
        row,
        applied.before,
        changed=applied.changed,
        seconds=seconds,
        example=screens.example(row, console.environment, _authority(context)),
        next_=target.command(f"show {target.name}"),
    )
    return console.done(data, text)


def list_(console: Console, project: str) -> int:
    from mlops_platform.console import models as screens
    from mlops_platform.report.models import rows_of

    rows = rows_of(context_of_project(console, project), project)
    return console.done({"models": [row.data for row in rows]}, screens.list_(rows, project))


def show(console: Console, name: str, project: str) -> int:
    from mlops_platform.console import models as screens

    row = row_of(console, context_of_project(console, project), name, project)
    return console.done({"model": row.data}, screens.show(row, project))


def stop(console: Console, name: str, project: str) -> int:
    """Delete a served model, and wait until its pods are gone."""
    from mlops_platform.console import models as screens
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.serve import stop as delete

    started = time.monotonic()
    context = context_of_project(console, project)
    with (
        interruptible(f"mlops-platform model list --project {project} --env {console.environment}"),
        waiting(console) as say,
    ):
        if not delete(context.clients.kube, project, name, say):
            raise unknown(console, context, name, project)
    text = screens.stopped(name, project, time.monotonic() - started)
    return console.done({"project": project, "stopped": name}, text)


def score(
    console: Console, reference: str, project: str, source: str, targets: Sequence[str], memory: str
) -> int:
    """Score a file in the data of a project."""
    from mlops_platform.base.humanize import duration
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.options import check_memory, reference_of
    from mlops_platform.steps.models.registry import opened, resolve
    from mlops_platform.steps.models.score import batch_of
    from mlops_platform.steps.models.score import score as run

    started = time.monotonic()
    wanted = reference_of(reference)
    check_memory(memory)
    if len(targets) != 1:
        raise UsageError(f"model score: {len(targets)} files in --output", hint="give one")
    context = whole_context_of_project(console, project)
    batch = batch_of(context, project, source, targets[0])
    with opened(context, project) as registry:
        found = resolve(registry, wanted, project)
    if found.note:
        console.say(f"! {found.note}")
    with waiting(console) as say:
        last = run(context, project, found, batch, memory, say)
    data = {"model": found.model, "version": found.version, "input": batch.source, "output": batch.target}
    text = f"{found.model} version {found.version}: {last} · {duration(time.monotonic() - started)}"
    return console.done({**data, "result": last}, text)


def _authority(context: ProjectContext) -> str:
    """The path of the certificate of the environment's authority; '' if it has none."""
    file = context.state / "authority.crt"
    return str(file) if file.is_file() else ""
