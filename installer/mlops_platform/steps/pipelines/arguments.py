"""Arguments of a pipeline: `--arg NAME=VALUE`, by the types of its inputs."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_platform.base.errors import Problem
from mlops_platform.steps.pipelines.document import MOST_ARGUMENTS, Input

_WORDS = {
    "STRING": "text",
    "NUMBER_INTEGER": "an integer of at most 15 digits, such as 3",
    "NUMBER_DOUBLE": "a number, such as 0.1",
    "BOOLEAN": "true or false",
    "LIST": "a list as JSON, such as [1, 2]",
    "STRUCT": 'an object as JSON, such as {"depth": 3}',
}
_LONGEST_INTEGER = 15  # digits: numbers travel as doubles


def parse(inputs: Mapping[str, Input], given: Sequence[str]) -> tuple[dict[str, Any], list[Problem]]:
    """The values by name, and every mistake."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    for text in given:
        name, equals, value = text.partition("=")
        what, hint = _mistake(name, equals, inputs, seen)
        seen.add(name)
        if not what:
            try:
                values[name] = _value(inputs[name].kind, value)
            except ValueError:
                kind = _WORDS.get(inputs[name].kind, inputs[name].kind)
                what, hint = f"{value!r} is not {kind}", ""
        if what:
            problems.append(Problem(f"--arg {name}", 0, what, hint))
    for name in sorted(inputs.keys() - seen):
        if not inputs[name].optional:
            kind = _WORDS.get(inputs[name].kind, inputs[name].kind)
            problems.append(Problem(f"--arg {name}", 0, "missing", f"give {kind}"))
    if len(json.dumps(values).encode()) > MOST_ARGUMENTS:
        what = f"more than {MOST_ARGUMENTS // 1024} KiB in all"
        problems.append(
            Problem("--arg", 0, what, "put data into the object store, and give the name of the file")
        )
    return values, problems


def _mistake(name: str, equals: str, inputs: Mapping[str, Input], seen: set[str]) -> tuple[str, str]:
    if not equals:
        return "no value", f"write --arg {name}=VALUE"
    if name not in inputs:
        near = difflib.get_close_matches(name, inputs, 1)
        known = ", ".join(sorted(inputs)) or "none"
        return f"no such input; the pipeline has: {known}", f"write {near[0]}" if near else ""
    return ("given twice", "keep one") if name in seen else ("", "")


def _value(kind: str, text: str) -> Any:
    """A value of a type. Raises ValueError."""
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        return (
            {"true": True, "false": False}.get(text.lower()) if text.lower() in ("true", "false") else _bad()
        )
    if kind == "NUMBER_INTEGER":
        return int(text) if re.fullmatch(rf"[-+]?[0-9]{{1,{_LONGEST_INTEGER}}}", text) else _bad()
    if kind == "NUMBER_DOUBLE":
        number = float(text)
        return number if math.isfinite(number) else _bad()
    wanted = {"LIST": list, "STRUCT": dict}.get(kind)
    try:
        value = json.loads(text, parse_constant=_bad)
    except RecursionError:
        _bad()
    return value if wanted and isinstance(value, wanted) else _bad()


def _bad(*_: object) -> Any:
    raise ValueError
