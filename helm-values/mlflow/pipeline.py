"""Run a pipeline with KFP's local runner, and record it in MLflow: `mlops-platform pipeline run`.

The log has a line for each change of a step, and the lines of steps behind their names. The last line is
`RESULT` and an object. A run of MLflow that a step starts is nested below the run of the pipeline: the
variables that steps get are for platform_pipeline.py, in the image.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any

import mlflow
from kfp import dsl
from kfp.components import load_component_from_file
from mlflow import MlflowClient
from pipeline_steps import Failed, Step, Steps, skipped, with_defaults

FILES, ROOT = Path("/files"), Path("/tmp/pipeline")  # noqa: S108 - a volume of the pod
_UNUSUAL = re.compile(r"[^\w. /:-]")  # characters that MLflow has not in names of metrics
LONGEST_PARAMETER = 6000  # characters, in MLflow
SUFFIXES = {dsl.HTML: ".html", dsl.Markdown: ".md"}  # MLflow shows such files
SETTINGS = {
    # pip finds that KFP, and what the image has, is installed. It must not ask an index, as there is none.
    "PIP_NO_INDEX": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    # MLflow prints its address inside the cluster, which no browser reaches.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
MESSAGE, LONGEST_MESSAGE = Path("/dev/termination-log"), 2000  # of the container: `job list` shows it


class Record:
    """The run of MLflow for one run of a pipeline."""

    def __init__(self, name: str, job: str, client: MlflowClient) -> None:
        self.client = client
        experiment = mlflow.set_experiment(name)
        tags = {"pipeline.name": name, "pipeline.runner": "KFP's local runner", "pipeline.job": job}
        run = client.create_run(experiment.experiment_id, run_name=job, tags=tags)
        self.experiment, self.run = experiment.experiment_id, run.info.run_id

    @property
    def environment(self) -> dict[str, str]:
        """Variables of steps: their runs are in the same experiment, below this one."""
        return {"MLFLOW_EXPERIMENT_ID": self.experiment, "PLATFORM_PIPELINE_RUN": self.run}

    def begin(self, arguments: Mapping[str, Any], files: Path) -> None:
        for name, value in arguments.items():
            self.client.log_param(self.run, name, _text(value)[:LONGEST_PARAMETER])
        self.client.log_dict(self.run, dict(arguments), "pipeline/arguments.json")
        self.client.log_artifact(self.run, str(files / "pipeline.yaml"), "pipeline")

    def step(self, step: Step) -> None:
        """Store the state, the metrics and the artifacts of a step that has ended."""
        self.client.set_tag(self.run, f"step.{step.name}", step.state)
        for output, artifact in _artifacts(step.outputs):
            for metric, value in numbers(artifact):
                self.client.log_metric(self.run, f"{step.name}/{metric}", value)
            if artifact.metadata:
                self.client.log_dict(self.run, dict(artifact.metadata), f"{step.name}/{output}.metadata.json")
            if file := file_of(artifact):
                log = self.client.log_artifacts if file.is_dir() else self.client.log_artifact
                log(self.run, str(file), f"{step.name}/{output}" if file.is_dir() else step.name)

    def end(self, state: str, result: Mapping[str, Any], left: list[str]) -> None:
        for name in left:
            self.client.set_tag(self.run, f"step.{name}", "skipped")
        self.client.log_dict(self.run, dict(result), "pipeline/result.json")
        self.client.set_terminated(self.run, state)


def numbers(artifact: Any) -> Iterator[tuple[str, float]]:
    """The metrics of an artifact `Metrics`."""
    if isinstance(artifact, dsl.Metrics):
        for name, value in artifact.metadata.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield _UNUSUAL.sub("_", name), float(value)


def file_of(artifact: Any) -> Path | None:
    """The file or folder of an artifact, with a suffix that MLflow shows; None if the step wrote none."""
    path = Path(artifact.path)
    if not path.exists():
        return None
    suffix = next((each for kind, each in SUFFIXES.items() if isinstance(artifact, kind)), "")
    if not suffix or path.is_dir() or path.suffix:
        return path
    shown = path.with_name(path.name + suffix)
    shown.unlink(missing_ok=True)
    shown.hardlink_to(path)
    return shown


def _artifacts(outputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in outputs.items():
        if isinstance(value, dsl.Artifact):
            yield name, value
        elif isinstance(value, list):
            yield from (
                (f"{name}.{i}", each) for i, each in enumerate(value) if isinstance(each, dsl.Artifact)
            )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def plain(value: Any) -> Any:
    """A value of an output as JSON has it; of an artifact its name."""
    if isinstance(value, dsl.Artifact):
        return f"{type(value).__name__} {value.name}"
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def result_of(steps: list[Step], left: list[str], outputs: Mapping[str, Any], reason: str) -> dict[str, Any]:
    rows = [
        {"name": s.name, "state": s.state, "seconds": round(s.seconds, 1), "attempts": s.attempts}
        | ({"reason": s.reason} if s.reason and s.state == "failed" else {})
        | ({"outputs": plain(s.outputs)} if s.outputs else {})
        for s in steps
    ]
    rows += [{"name": name, "state": "skipped", "seconds": 0.0, "attempts": 0} for name in left]
    return {
        "state": "failed" if reason else "succeeded",
        "reason": reason,
        "steps": rows,
        "outputs": plain(outputs),
    }


def stop_with(record: Record) -> None:
    """On SIGTERM, which `job stop` sends, end the run as killed."""

    def stop(*_: object) -> None:
        # In a thread: the interrupted code may hold a lock of the client.
        ending = threading.Thread(
            target=record.client.set_terminated, args=(record.run, "KILLED"), daemon=True
        )
        ending.start()
        ending.join(timeout=3)
        os._exit(143)

    signal.signal(signal.SIGTERM, stop)


def main(files: Path, root: Path, job: str) -> int:
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    spec = load_component_from_file(str(files / "pipeline.yaml")).pipeline_spec
    arguments = with_defaults(spec, json.loads((files / "arguments.json").read_text()))
    os.environ.update(SETTINGS)
    record = Record(spec.pipeline_info.name, job, MlflowClient())
    stop_with(record)
    record.begin(arguments, files)

    def began(step: Step) -> None:
        steps.say(f"step {step.name}: running")

    def ended(step: Step) -> None:
        record.step(step)
        steps.say(f"step {step.name}: {step.state} after {step.seconds:.1f} s")

    steps = Steps(began, ended, record.environment)
    steps.say(f"run {record.experiment} {record.run}")
    outputs: Mapping[str, Any] = {}
    reason = ""
    try:
        outputs = steps.run(spec, arguments, root)
    except Failed as error:
        reason = str(error)
    left = skipped(spec, steps.all)
    result = result_of(steps.all, left, outputs, reason)
    rmtree(root, ignore_errors=True)  # the pod stays for a day
    record.end("FAILED" if reason else "FINISHED", result, left)
    brief = {**result, "steps": [{k: v for k, v in row.items() if k != "outputs"} for row in result["steps"]]}
    if reason and MESSAGE.exists():
        MESSAGE.write_text(" ".join(reason.splitlines())[:LONGEST_MESSAGE])  # of several lines it shows one
    steps.say("RESULT " + json.dumps({"experiment": record.experiment, "run": record.run, **brief}))
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(FILES, ROOT, os.environ["JOB"]))
