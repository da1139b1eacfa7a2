"""KFP's local runner with what it lacks: the states of steps, their logs by name, and why one failed.

The runner has no hook for these: functions of the pinned version are replaced. It warns about a condition
or a loop that it cannot evaluate, leaves its steps out and ends with success; here that is an error.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp import local
from kfp.local import logging_utils, pipeline_orchestrator, subprocess_task_handler, task_dispatcher
from kfp.local.orchestrator import (
    enhanced_dag_orchestrator,
    orchestrator_utils,
    task_executor,
    task_spec_utils,
)
from kfp.local.status import Status
from kfp.pipeline_spec.pipeline_spec_pb2 import ParameterType

_CONTROL = re.compile(r"(?:condition|condition-branches|for-loop|exit-handler)-\d+(?:-iteration-(\d+))?")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_TRACEBACK = "Traceback (most recent call last):"
_KILLED = (-9, 137)
_INTEGER = ParameterType.NUMBER_INTEGER
_KEPT_LINES = 200
_REASON_LINES = 8


class Failed(Exception):
    """A pipeline that ended with an error; the text is the reason."""


@dataclass
class Step:
    """One run of a task: running, succeeded or failed."""

    name: str
    state: str = "running"
    seconds: float = 0.0
    attempts: int = 0
    reason: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))


class Steps:
    """The steps of one run. `began` and `ended` are called in the thread of a step."""

    def __init__(
        self, began: Callable[[Step], None], ended: Callable[[Step], None], env: Mapping[str, str]
    ) -> None:
        self.all: list[Step] = []
        self._began, self._ended, self._env = began, ended, env
        self._current = threading.local()
        self._lock = threading.Lock()
        self._log = _Log()
        self._execute = task_executor.execute_single_task

    def run(self, spec: Any, arguments: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
        """Run a pipeline; return its outputs. Raises Failed."""
        self._replace()
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(root / "steps"),
            workspace_root=str(root / "workspace"),
        )
        try:
            outputs: Mapping[str, Any] = pipeline_orchestrator.run_local_pipeline(spec, dict(arguments))
        except Exception as error:  # of the runner, or of code of users
            raise Failed(self._why(error)) from error
        return outputs

    def say(self, text: str) -> None:
        """Print a whole line: steps run at the same time."""
        with self._lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def _replace(self) -> None:
        task_executor.execute_single_task = self._execute_step
        subprocess_task_handler.run_local_subprocess = self._run_process
        for module in (enhanced_dag_orchestrator, orchestrator_utils, task_spec_utils):
            module.logging = self._log
        task_dispatcher.logging = _Log()  # it only says in colors what `ended` gets
        # A folder for each nested pipeline: one that is used twice would write into the same files.
        task_spec_utils.get_nested_pipeline_resource_name = _nested
        # Its own log would be among the lines of steps.
        logging_utils.local_logger_context = nullcontext
        logging_utils.indented_print = nullcontext
        logging_utils.print_horizontal_line = lambda: None

    def _why(self, error: Exception) -> str:
        """The reason of the first step that failed; else of the runner, which logs errors of threads only."""
        if isinstance(error, Failed):
            return str(error)
        if failed := [each for each in self.all if each.state == "failed"]:
            return f"step {failed[0].name}: {failed[0].reason}"
        return "; ".join(self._log.errors) or _ESCAPES.sub("", f"{type(error).__name__}: {error}")

    def _execute_step(self, *, task_name: str, pipeline_resource_name: str, **given: Any) -> Any:
        step = Step(name_of(pipeline_resource_name, task_name))
        self._current.step = step
        with self._lock:
            self.all.append(step)
        self._began(step)
        start, result = time.monotonic(), None
        try:
            result = self._execute(
                task_name=task_name, pipeline_resource_name=pipeline_resource_name, **given
            )
            step.outputs = result[0]
        except Exception as error:
            step.reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            step.seconds = time.monotonic() - start
            good = result is not None and result[1] == Status.SUCCESS
            step.state = "succeeded" if good else "failed"
            self._ended(step)
        return result

    def _run_process(self, full_command: list[str], env_vars: Mapping[str, str] | None = None) -> int:
        step: Step = self._current.step
        step.attempts += 1
        step.lines.clear()
        if step.attempts > 1:
            self.say(f"{step.name} | attempt {step.attempts}, after: {step.reason}")
        with subprocess.Popen(
            full_command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            env={**os.environ, **self._env, "PLATFORM_PIPELINE_STEP": step.name, **(env_vars or {})},
        ) as process:
            for line in own_lines(process.stdout or ()):
                step.lines.append(line)
                self.say(f"{step.name} | {line}")
            code = process.wait()
        step.reason = reason_of(step.lines, code) if code else ""
        return code


class _Log:
    """The log of the runner's modules: no progress, a warning is an error, errors of threads are kept."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def info(self, text: str) -> None: ...

    def warning(self, text: str) -> None:
        raise Failed(f"KFP's local runner cannot go on: {text}")

    def error(self, text: str) -> None:
        self.errors.append(text)


def _nested(*, task_name: str, pipeline_resource_name: str) -> str:
    return f"{pipeline_resource_name}/{task_name}"


def own_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines that a step writes, without those of KFP's executor: it prints its whole input."""
    inside = False
    for line in map(str.rstrip, lines):
        if inside:
            inside = line != "}"
        elif line.startswith("[KFP Executor "):
            inside = line.endswith("Got executor_input:")
        else:
            yield line


def name_of(resource: str, task: str) -> str:
    """Name a step: `train`, in a loop `train.0`, in a nested pipeline `prepare/train`."""
    before, numbers = "", ""
    for part in resource.split("/")[1:]:
        control = _CONTROL.fullmatch(part)
        if control is None:
            before, numbers = f"{before}{part}{numbers}/", ""
        elif control[1]:
            numbers += f".{control[1]}"
    return f"{before}{task}{numbers}"


def with_defaults(spec: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a pipeline, and the defaults of those that are not given."""
    inputs = spec.root.input_definitions
    join = orchestrator_utils.OrchestratorUtils.join_user_inputs_and_defaults
    found = join(dag_arguments=dict(arguments), dag_inputs_spec=inputs)
    whole = {name for name, each in inputs.parameters.items() if each.parameter_type == _INTEGER}
    # Numbers are doubles in the file.
    return {
        name: int(value) if name in whole and value is not None else value for name, value in found.items()
    }


def all_names(spec: Any) -> list[str]:
    """The names of all steps of a pipeline, without the numbers of iterations."""

    def walk(dag: Any, before: str) -> Iterator[str]:
        for name, task in dag.tasks.items():
            component = spec.components[task.component_ref.name]
            if component.WhichOneof("implementation") == "dag":
                yield from walk(component.dag, before if _CONTROL.fullmatch(name) else f"{before}{name}/")
            else:
                yield before + name

    return list(walk(spec.root.dag, ""))


def skipped(spec: Any, steps: Iterable[Step]) -> list[str]:
    """The steps that did not run: of a branch that was not taken, or after a failure."""
    ran = {re.sub(r"\.\d+(?=[./]|$)", "", each.name) for each in steps}
    return sorted(set(all_names(spec)) - ran)


def reason_of(lines: Iterable[str], code: int) -> str:
    """Why a process failed: the error below its last traceback, else its last line."""
    if code in _KILLED:
        return "killed: it needs more memory than the Job has (give more with --memory)"
    found = [line for line in lines if line.strip()]
    if _TRACEBACK in found:
        last = len(found) - 1 - found[::-1].index(_TRACEBACK)
        error = next(
            (i for i, line in enumerate(found[last + 1 :], last + 1) if not line.startswith(" ")), last
        )
        found = found[error:]
    else:
        found = found[-1:]
    return "\n".join(found[:_REASON_LINES]) or f"exit {code}"
