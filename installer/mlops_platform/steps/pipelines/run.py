"""One run of a pipeline: a Job of the project with the local runner of KFP's SDK."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.humanize import plain
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.projects import PipelinesPart
from mlops_platform.environment.issuer import origin
from mlops_platform.environment.uis import gateway
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import JobFailed, start_job, wait_for_end
from mlops_platform.steps.pipelines.document import Pipeline
from mlops_platform.steps.pipelines.local import Image
from mlops_platform.steps.projects.data import CONFIG_NAME
from mlops_platform.steps.projects.objects import ENVIRONMENT_NAME
from mlops_platform.steps.projects.scripts import result_of

_KEPT_SECONDS = 86400  # after its end, for `job list` and `job logs`
_READ_LINES = 200  # of the log, once a second: progress of steps
_MARK = "RESULT "
_LINE_OF_STEP = re.compile(r"step (\S+): (.+)")


@dataclass(frozen=True)
class Runner:
    """The component whose script runs pipelines, and its part."""

    resolved: ResolvedComponent
    part: PipelinesPart
    sdk: str

    @property
    def words(self) -> str:
        return f"local runner of KFP {self.sdk}"


@dataclass(frozen=True)
class Ended:
    """The result of a run, as the script prints it; `address` is empty without an ingress."""

    job: str
    result: Mapping[str, Any]
    address: str

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        found = self.result.get("steps")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def data(self) -> dict[str, Any]:
        return {"job": self.job, "address": self.address, **self.result}


def runner_of(context: Context) -> Runner:
    """The chosen component that runs pipelines. Raises UsageError if there is none."""
    for each in context.resolved.values():
        if part := each.component.pipelines:
            return Runner(each, part, context.images.packages(part.image).get("kfp", ""))
    name = context.environment.name
    raise UsageError(
        f"{name} cannot run pipelines",
        why="none of its components has `projects.pipelines`",
        hint="add one to `components`, such as the tracking server of the shipped environment `local`",
        command=f"mlops-platform env show {name}",
    )


def image_of(context: Context, runner: Runner) -> Image:
    return Image(runner.part.base_images, context.images.packages(runner.part.image))


def job_of(
    runner: Runner, project: str, pipeline: Pipeline, arguments: Mapping[str, Any], memory: str
) -> ScriptJob:
    """The Job of a new run."""
    resolved, part = runner.resolved, runner.part
    name = _job_name(pipeline.name)
    return ScriptJob(
        name=name,
        namespace=project,
        image=resolved.reference(part.image),
        scripts={file: resolved.text(file) for file in (part.script, *part.files)},
        files={"pipeline.yaml": pipeline.text, "arguments.json": json.dumps(arguments)},
        env={**substitute(part.env, resolved.variables), "JOB": name},
        memory=memory or part.memory,
        seconds=part.seconds,
        account=TRAINER,
        maps=(ENVIRONMENT_NAME, CONFIG_NAME),
        tokens=tuple(resolved.variables["project_tokens"]),
    )


def _job_name(pipeline: str) -> str:
    """A name of a Job that no other run has, with the name of the pipeline as far as a DNS label has it."""
    label = re.sub(r"[^a-z0-9]+", "-", pipeline.lower()).strip("-")[:40].rstrip("-")
    return f"{label if label[:1].isalpha() else f'pipeline-{label}'.rstrip('-')}-{secrets.token_hex(3)}"


def start(context: Context, job: ScriptJob) -> Mapping[str, Any]:
    return start_job(context.clients.kube, job, kept_seconds=_KEPT_SECONDS)


def follow(
    context: Context, runner: Runner, job: ScriptJob, created: Mapping[str, Any], say: Callable[[str], None]
) -> Ended:
    """Wait for the end of a run; `say` gets each change of a step. Raises StepError if it failed early."""
    progress = _Progress(say)
    kube = context.clients.kube
    try:
        log = wait_for_end(kube, job, created, progress.say, context.cancel, follow=_READ_LINES)
    except JobFailed as error:
        if _MARK not in error.log:
            raise _unfinished(error, job) from error
        log = error.log
    result = result_of(log, _MARK)
    return Ended(job.name, result, _address(context, runner, job.namespace, result))


def _unfinished(error: JobFailed, job: ScriptJob) -> JobFailed:
    """The Job ended before the script could give its result."""
    error.what = f"the pipeline did not end: {error.what}"
    killed = "OOMKilled" in str(error)
    error.hint = "give it more memory with --memory" if killed else "read the log of the Job"
    error.command = error.command or f"mlops-platform job logs {job.name} --project {job.namespace}"
    return error


def _address(context: Context, runner: Runner, project: str, result: Mapping[str, Any]) -> str:
    component = runner.resolved.component
    models = component.projects.models if component.projects else None
    if not (models and models.runs and result.get("run") and gateway(context.environment, context.catalog)):
        return ""
    known = {"project": project, "experiment": result.get("experiment", ""), "run": result["run"]}
    page: str = substitute(models.runs, known)
    return origin(context.environment, component, component.serves[models.port]) + page


def failure(ended: Ended, pipeline: str, project: str, environment: str) -> StepError:
    """The error of a pipeline that ended with a failed step."""
    failed = [str(each.get("name")) for each in ended.steps if each.get("state") == "failed"]
    where = f" in step {failed[0]}" if failed else ""
    more = f", and in {', '.join(failed[1:4])}{' …' if len(failed) > 4 else ''}" if failed[1:] else ""
    reason = str(ended.result.get("reason", "")).removeprefix(f"step {failed[0]}: " if failed else "")
    return StepError(
        f"pipeline {pipeline} failed{where}{more}",
        why=reason or "no reason was given",
        hint="read what the step wrote",
        command=f"mlops-platform job logs {ended.job} --project {project} --env {environment}",
    )


class _Progress:
    """Shows each change of a step once; before the pod runs, why it waits."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._seen: set[str] = set()

    def say(self, text: str) -> None:
        lines = text.splitlines()
        steps = [line for line in lines if _LINE_OF_STEP.fullmatch(line)]
        if len(lines) == 1 and not steps and not _of_log(lines[0]):
            steps = lines
        for line in steps:
            if line not in self._seen:
                self._seen.add(line)
                self._say(plain(line))


def _of_log(line: str) -> bool:
    return line.startswith(("run ", _MARK)) or " | " in line
