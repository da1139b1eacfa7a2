"""A compiled pipeline of KFP's SDK: its steps and inputs, from YAML or JSON.

The format is PipelineSpec of https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto;
a second document has settings for one platform, such as those of Kubernetes.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Problem
from mlops_platform.base.yaml import Document, load_documents

Place = tuple[str | int, ...]
Tree = Mapping[str, Any]

# A ConfigMap has at most 1 MiB; the arguments and the scripts of the Job are in it too.
MOST_BYTES, MOST_ARGUMENTS = 900 * 1024, 64 * 1024
_COMPILE = "compile it: kfp dsl compile --py pipeline.py --output pipeline.yaml"
_CONTROL = re.compile(r"(condition|condition-branches|for-loop|exit-handler)-\d+")  # tasks that KFP adds
_MOST_NESTED, _MOST_TASKS = 50, 2000


@dataclass(frozen=True)
class Input:
    """An argument of a pipeline; `kind` is the parameterType."""

    kind: str
    optional: bool


@dataclass(frozen=True)
class Step:
    """A task that runs a program: its own settings, and those of its executor, with their places."""

    name: str
    task: Tree
    executor: Tree
    task_place: Place
    executor_place: Place


@dataclass(frozen=True)
class Pipeline:
    """A pipeline without a mistake in its structure. `platform` has settings for one platform."""

    document: Document
    name: str
    sdk: str
    inputs: Mapping[str, Input]
    steps: tuple[Step, ...]
    platform: Mapping[str, Tree] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.document.text


def read(path: Path) -> Pipeline:
    """Read a compiled pipeline. Raises ConfigurationError with every mistake of its structure."""
    if (size := _size(path)) > MOST_BYTES:
        what = f"{size // 1024} KiB; a pipeline has at most {MOST_BYTES // 1024} KiB"
        hint = "it goes into a ConfigMap: keep data in the object store, and code in the image"
        raise _nothing_ran([Problem(str(path), 0, what, hint)])
    document = load_documents(path)
    if document.problems:
        found = _of_python(path) or document.problems
        raise _nothing_ran(list(found))
    reader = _Reader(document)
    pipeline = reader.pipeline()
    if pipeline is None:
        raise _nothing_ran(reader.problems)
    return pipeline


def refuse(problems: list[Problem]) -> None:
    """Raise ConfigurationError if there are problems."""
    if problems:
        raise _nothing_ran(problems)


def _nothing_ran(problems: list[Problem]) -> ConfigurationError:
    return ConfigurationError(tuple(problems), "in the pipeline and its arguments; nothing was run")


def _size(path: Path) -> int:
    """The size of a file; 0 if it cannot be read, which its reader reports."""
    try:
        found = path.stat()
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _of_python(path: Path) -> list[Problem]:
    return (
        [Problem(str(path), 0, "Python, not a compiled pipeline", _COMPILE)] if path.suffix == ".py" else []
    )


class _Reader:
    """Reads the structure of one file."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.top: Tree = {}
        self.components: Tree = {}
        self.executors: Tree = {}
        self._tasks = 0

    def pipeline(self) -> Pipeline | None:
        documents = self.document.data
        first = documents[0] if documents else None
        if not isinstance(first, dict) or not isinstance(first.get("root"), dict):
            self._no_pipeline(first)
            return None
        self.top = first
        name = self._get(("pipelineInfo", "name"), str)
        self.components = self._get(("components",), dict, {})
        self.executors = self._get(("deploymentSpec", "executors"), dict, {})
        steps = tuple(self._steps((0, "root"), first["root"], 0))
        inputs = self._inputs(first["root"])
        platform = (
            documents[1].get("platforms") if len(documents) > 1 and isinstance(documents[1], dict) else {}
        )
        if not steps and not self.problems:
            self._say((0, "root"), "no step", "call a component in the pipeline, and compile it again")
        if self.problems:
            return None
        sdk = str(first.get("sdkVersion", ""))
        own = platform if isinstance(platform, dict) else {}
        return Pipeline(self.document, name, sdk, inputs, steps, own)

    def _no_pipeline(self, first: object) -> None:
        what, hint = "not a compiled pipeline of KFP", _COMPILE
        if isinstance(first, dict) and str(first.get("apiVersion", "")).startswith("argoproj.io/"):
            what, hint = "a workflow of Argo, from KFP 1", "compile it with the SDK of KFP 2"
        elif isinstance(first, dict) and "implementation" in first:
            what, hint = "a component of KFP 1", "compile a pipeline that uses it with the SDK of KFP 2"
        self._say((0,), what, hint)

    def _say(self, place: Place, what: str, hint: str = "compile the pipeline again") -> None:
        self.problems.append(self.document.problem(place, what, hint))

    def _get(self, keys: tuple[str, ...], kind: type, default: Any = None) -> Any:
        """The value at a place; after a problem one of the kind that is empty."""
        value: Any = self.top
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None and default is not None:
            return default
        if isinstance(value, kind) and (value or kind is dict):
            return value
        self._say((0, *keys), f"{'.'.join(keys)} is {'missing' if value is None else 'not as KFP writes it'}")
        return kind()

    def _inputs(self, root: Tree) -> dict[str, Input]:
        place: Place = (0, "root", "inputDefinitions")
        definitions = root.get("inputDefinitions") or {}
        kinds = definitions if isinstance(definitions, dict) else {"parameters": definitions}
        found: dict[str, Input] = {}
        for kind in ("parameters", "artifacts"):
            every = kinds.get(kind) or {}
            if not isinstance(every, dict):
                self._say((*place, kind), f"inputDefinitions.{kind} is not as KFP writes it")
                continue
            for name, each in every.items():
                given = each if isinstance(each, dict) else {}
                optional = "defaultValue" in given or given.get("isOptional") is True
                if kind == "artifacts":
                    if not optional:
                        self._artifact((*place, kind, name), name)
                elif isinstance(given.get("parameterType"), str):
                    found[name] = Input(given["parameterType"], optional)
                else:
                    self._say((*place, kind, name), f"{name}: an input without parameterType")
        return found

    def _artifact(self, place: Place, name: str) -> None:
        what = f"{name}: an artifact as the input of a pipeline"
        self._say(place, what, "make it in a first step, from a parameter such as the name of a file")

    def _steps(self, place: Place, component: Tree, depth: int, before: str = "") -> Iterator[Step]:
        """The steps of a graph, and of the graphs inside it."""
        dag = component.get("dag")
        tasks = dag.get("tasks") if isinstance(dag, dict) else None
        if not isinstance(tasks, dict):
            self._say(place, "no dag.tasks")
            return
        for name, task in tasks.items():
            if self._too_many(place, depth):
                return
            at: Place = (*place, "dag", "tasks", name)
            reference = task.get("componentRef") if isinstance(task, dict) else None
            of = reference.get("name") if isinstance(reference, dict) else None
            inner = self.components.get(str(of))
            if not isinstance(inner, dict):
                self._say(at, f"task {before}{name}: its component {of} is missing")
            elif "dag" in inner:
                deeper = before if _CONTROL.fullmatch(name) else f"{before}{name}/"
                yield from self._steps((0, "components", str(of)), inner, depth + 1, deeper)
            else:
                yield from self._step(before + name, task, at, inner)

    def _too_many(self, place: Place, depth: int) -> bool:
        """True: the file has more tasks than a pipeline may have; said once, as the rest is not read."""
        self._tasks += 1
        if self._tasks > _MOST_TASKS:
            return True
        if depth <= _MOST_NESTED and self._tasks < _MOST_TASKS:
            return False
        self._tasks = _MOST_TASKS + 1
        what = "pipelines inside themselves" if depth > _MOST_NESTED else f"{_MOST_TASKS} steps or more"
        self._say(place, what, "use a loop, or several pipelines")
        return True

    def _step(self, name: str, task: Tree, place: Place, component: Tree) -> Iterator[Step]:
        label = component.get("executorLabel")
        executor = self.executors.get(str(label))
        if not isinstance(executor, dict):
            self._say(place, f"step {name}: its executor {label} is missing")
            return
        yield Step(name, task, executor, place, (0, "deploymentSpec", "executors", str(label)))
