"""`pipeline`: compiled pipelines of KFP's SDK, run in projects. As `model`, without the lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mlops_platform.base.errors import Exit
from mlops_platform.commands._project import interruptible, whole_context_of_project
from mlops_platform.console import Console


def run(console: Console, file: Path, project: str, arguments: Sequence[str], memory: str) -> int:
    """Check a pipeline, run it in a Job of the project, and follow it to its end."""
    from mlops_platform.console import pipelines as screens
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.options import check_memory
    from mlops_platform.steps.pipelines import arguments as given
    from mlops_platform.steps.pipelines import document, local
    from mlops_platform.steps.pipelines import run as runs

    started = time.monotonic()
    check_memory(memory)
    pipeline = document.read(file)
    context = whole_context_of_project(console, project)
    runner = runs.runner_of(context)
    values, mistakes = given.parse(pipeline.inputs, arguments)
    document.refuse([*local.problems(pipeline, runs.image_of(context, runner)), *mistakes])
    job = runs.job_of(runner, project, pipeline, values, memory)
    created = runs.start(context, job)
    where = f"--project {project} --env {console.environment}"
    console.say(f"{pipeline.name} runs in Job {job.name} of {project}: {runner.words}")
    console.add({"pipeline": pipeline.name, "project": project, "runner": "local", "job": job.name})
    hint = f"the Job goes on: mlops-platform job logs {job.name} --follow {where}; this command stops it"
    with interruptible(f"mlops-platform job stop {job.name} {where}", hint), waiting(console) as say:
        ended = runs.follow(context, runner, job, created, say)
    data = {"pipeline": pipeline.name, "project": project, "runner": "local", **ended.data}
    if ended.result.get("state") != "succeeded":
        console.add(data)
        console.say(screens.ended(ended.steps, ended.address))
        raise runs.failure(ended, pipeline.name, project, console.environment)
    text = screens.succeeded(
        pipeline.name, runner.words, ended.steps, ended.address, time.monotonic() - started
    )
    return console.done(data, text, Exit.DONE)
