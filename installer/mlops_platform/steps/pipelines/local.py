"""What KFP's local runner cannot do, found in a pipeline before it runs: it would ignore it, or fail late.

Read in the source of kfp 2.17.3, and tried (docs/pipelines.md): retries, conditions, loops, exit handlers and
nested pipelines work.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from mlops_platform.base.errors import Problem
from mlops_platform.steps.pipelines.document import Pipeline, Place, Step

_MAIN = "kfp.dsl.executor_main"
_WITH_VALUE = ("--index-url", "-i", "--extra-index-url", "--trusted-host", "--find-links", "-f")
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:==([A-Za-z0-9.+!_-]+))?")
_ENDS = re.compile(r"[();<>|&]+")  # of a command
_SDK = "kfp"
_OLD_PYTHON = 'python_version<"3.9"'  # of a requirement that KFP adds
_LIMITS = {"cpu": "CPU", "memory": "memory", "accelerator": "GPU"}  # by a part of the keys


@dataclass(frozen=True)
class Image:
    """The image in which all steps run: the images that it stands for, and its packages with versions."""

    stands_for: Sequence[str]
    packages: Mapping[str, str]


def problems(pipeline: Pipeline, image: Image) -> list[Problem]:
    """Everything in a pipeline that the local runner cannot do; each executor once."""
    document = pipeline.document
    found = [document.problem((1,), *each) for each in _platform(pipeline)]
    seen: set[Place] = set()
    for step in pipeline.steps:
        found += [document.problem(place, *each) for place, *each in _task(step)]
        if step.executor_place not in seen:
            seen.add(step.executor_place)
            found += [document.problem(place, *each) for place, *each in _executor(step, image)]
    return sorted(found, key=lambda each: each.line)


def _platform(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for name in pipeline.platform:
        yield (
            f"settings for {name}: the local runner ignores them",
            "leave out kfp.kubernetes and PipelineConfig; a step has the variables and tokens of the project",
        )


def _task(step: Step) -> Iterator[tuple[Place, str, str]]:
    policy = step.task.get("triggerPolicy")
    strategy = policy.get("strategy") if isinstance(policy, dict) else None
    after = step.task.get("dependentTasks") or []
    exit_task = any(str(each).startswith("exit-handler-") for each in after)
    if strategy == "ALL_UPSTREAM_TASKS_COMPLETED" and not exit_task:
        yield (
            (*step.task_place, "triggerPolicy"),
            f"step {step.name}: ignore_upstream_failure; the local runner ends the pipeline as failed",
            "catch the error in the step before it, or use dsl.ExitHandler",
        )


def _executor(step: Step, image: Image) -> Iterator[tuple[Place, str, str]]:
    place = step.executor_place
    container = step.executor.get("container")
    if "importer" in step.executor:
        yield (
            (*place, "importer"),
            f"step {step.name}: dsl.importer; the local runner downloads nothing",
            "read the file in a step, with boto3 from the data of the project (DATA_URI)",
        )
    elif not isinstance(container, dict):
        kind = ", ".join(map(str, step.executor)) or "nothing"
        yield place, f"step {step.name}: {kind}, not a Python component", "use @dsl.component"
    else:
        yield from _container(step, container, (*place, "container"), image)


def _container(
    step: Step, container: Mapping[str, object], place: Place, image: Image
) -> Iterator[tuple[Place, str, str]]:
    command = [str(each) for key in ("command", "args") for each in _list(container.get(key))]
    if command[:3] == ["python3", "-m", _MAIN]:
        what = "a component with an image of its own (target_image)"
        yield (*place, "image"), f"step {step.name}: {what}", "leave target_image out of @dsl.component"
        return
    if not any(_MAIN in each for each in command):
        what = f"step {step.name}: a container component ({container.get('image', 'no image')})"
        yield (*place, "image"), what, "write it in Python, with @dsl.component"
        return
    name = str(container.get("image", ""))
    if name.removeprefix("docker.io/").removeprefix("library/") not in image.stands_for:
        hint = f"leave base_image out, or write {image.stands_for[0]}" if image.stands_for else ""
        yield (*place, "image"), f"step {step.name}: base_image {name}; all steps run in one image", hint
    yield from _installs(step, command, place, image)
    keys = [key.lower() for key in _dict(container.get("resources"))]
    if limits := [word for part, word in _LIMITS.items() if any(part in key for key in keys)]:
        what = f"step {step.name}: {' and '.join(limits)} of its own; all steps share those of one Job"
        yield (*place, "resources"), what, "leave them out, and give the Job more memory with --memory"


def _installs(
    step: Step, command: Sequence[str], place: Place, image: Image
) -> Iterator[tuple[Place, str, str]]:
    """Packages that the step installs and the image does not have: no pod of a project reaches an index."""
    for word in dict.fromkeys(word for text in command[:3] for word in _requirements(text)):
        found = _REQUIREMENT.fullmatch(word)
        name, version = (_normal(found[1]), found[2]) if found else ("", None)
        has = image.packages.get(name)
        if has and version in (None, has):
            continue
        if name == _SDK:
            hint = f"compile it with {name} {has}, or with install_kfp_package=False"
        elif has:
            hint = f"the image has {name} {has}: write no other version"
        else:
            hint = "the image does not have it; docs/pipelines.md lists what it has"
        what = f"step {step.name}: it installs {word}, and there is no package index"
        yield (*place, "command"), what, hint


def _requirements(text: str) -> Iterator[str]:
    """What the commands `pip install` of a shell script install."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:  # a quote that does not end
        words = text.split()
    for start in (i for i, pair in enumerate(pairwise(words), 2) if pair == ("pip", "install")):
        rest = iter(takewhile(lambda word: not _ENDS.fullmatch(word), words[start:]))
        for word in rest:
            if word in _WITH_VALUE:
                next(rest, None)
            elif not word.startswith("-") and not word.replace(" ", "").endswith(_OLD_PYTHON):
                yield word


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dict(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
