"""Batch scoring: a Job in the project that reads a file of its data, and writes it with predictions."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import TRAINER
from mlops_platform.base.values import substitute
from mlops_platform.run.context import Context
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import JobFailed, run_job
from mlops_platform.steps.models.options import label_of
from mlops_platform.steps.models.registry import Resolution, registry_of
from mlops_platform.steps.projects.data import CONFIG_NAME, require_data
from mlops_platform.steps.projects.objects import ENVIRONMENT_NAME

FORMATS = (".csv", ".parquet")


@dataclass(frozen=True)
class Batch:
    """Keys in the data of a project."""

    source: str
    target: str


def batch_of(context: Context, project: str, source: str, target: str) -> Batch:
    """Read the names of the files. Raises UsageError with every mistake."""
    place = f"{require_data(context).uri(project)}/"
    problems: list[str] = []
    keys = [
        _key(option, text, place, problems) for option, text in (("--input", source), ("--output", target))
    ]
    if keys[0] == keys[1] and not problems:
        problems.append("--output is the input")
    if problems:
        raise UsageError(
            "model score: nothing was started",
            why="\n".join(problems),
            hint=f"name files in the data of the project, such as rows.csv or {place}rows.csv",
            command=f"mlops-platform project data list --project {project} --env {context.environment.name}",
        )
    return Batch(*keys)


def _key(option: str, text: str, place: str, problems: list[str]) -> str:
    key = text.removeprefix(place)
    parts = key.split("/")
    if key.startswith("s3://"):
        problems.append(f"{option} {text}: not in the data of the project, which is {place}")
    elif any(part in ("", ".", "..") for part in parts) or len(key.encode(errors="replace")) > 1024:
        problems.append(f"{option} {text!r}: not the name of a file in a bucket")
    elif not key.endswith(FORMATS):
        problems.append(f"{option} {text}: its name must end in {' or '.join(FORMATS)}")
    return key


def score(
    context: Context,
    project: str,
    model: Resolution,
    batch: Batch,
    memory: str,
    say: Callable[[str], None],
) -> str:
    """Run the Job; return the last line of its log. Raises JobFailed with the reason."""
    component, part = registry_of(context)
    resolved = context.resolved[component.name]
    if part.score is None:
        raise UsageError(f"the registry of {context.environment.name} cannot score batches")
    job = ScriptJob(
        name=f"score-{label_of(model.model)[:40] or 'model'}-{secrets.token_hex(3)}",
        namespace=project,
        image=resolved.reference(part.score.image),
        scripts={part.score.script: resolved.text(part.score.script)},
        env={
            **substitute(part.score.env, resolved.variables),
            "MODEL": f"models:/{model.model}/{model.version}",
            "INPUT": batch.source,
            "OUTPUT": batch.target,
        },
        memory=memory or part.score.memory,
        seconds=part.score.seconds,
        account=TRAINER,
        maps=(ENVIRONMENT_NAME, CONFIG_NAME),
        tokens=tuple(resolved.variables["project_tokens"]),
    )
    try:
        log = run_job(context.clients.kube, job, _Progress(say), context.cancel, follow=1)
    except JobFailed as error:
        error.what = f"{model.model} version {model.version}: {batch.source} was not scored"
        error.why = _reason(error.why)
        error.hint = "give it more with --memory" if "OOMKilled" in str(error) else ""
        raise
    return (log.strip().splitlines() or [""])[-1]


class _Progress:
    """Progress of a Job that is shown as it is."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def fraction(self, done: int, total: int, what: str = "") -> None: ...

    def note(self, text: str) -> None: ...


def _reason(log: str) -> str:
    """The last line of a log without a traceback is the reason; a traceback is printed whole."""
    lines = log.strip().splitlines()
    if any(re.match(r"Traceback \(most recent", line) for line in lines):
        return log
    return lines[-1] if lines else log
