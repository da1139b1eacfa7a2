"""Owns reading YAML so that every mistake can name its line, and checking it against a strict model."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_platform.base.errors import Problem

Model = TypeVar("Model", bound=BaseModel)
Key = str | int
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = frozenset(tag for tag in yaml.SafeLoader.yaml_constructors if tag)
# pydantic's own words speak of inputs and instances; "what | how to mend it".
_WORDS = {
    "string_type": "must be text | put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number | without quotes",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "model_type": "must be a mapping of keys to values",
}


class Strict(BaseModel):
    """What every file of ours is read into: no unknown key, no coercion, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, the line of every key, and what was already wrong with it.

    `data` is None when the file could not be read at all: `problems` says why, and nothing else can.
    """

    file: str
    data: Any
    lines: dict[tuple[Key, ...], int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, *keys: Key) -> int:
        """The line of a key or list item, or of the nearest enclosing one that exists in the file."""
        place = tuple(keys)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, keys: Sequence[Key], what: str, hint: str = "") -> Problem:
        return Problem(self.file, self.line(*keys), what, hint)


def load(path: Path, shown_as: str = "") -> Document:
    """Read one YAML file with the safe types only. A duplicate key is a problem, not a silent last-wins."""
    name = shown_as or str(path)
    try:
        text = path.read_text(encoding="utf-8")
        root = _composed(text)
    except (OSError, UnicodeDecodeError) as error:
        return Document(name, None, problems=(Problem(name, 0, f"cannot be read: {error}"),))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        return Document(name, None, problems=(Problem(name, line, f"not YAML: {error.problem}"),))
    lines: dict[tuple[Key, ...], int] = {}
    problems: list[Problem] = []
    data = _build(root, (), lines, problems, name) if root else {}
    return Document(name, data, lines, tuple(problems))


def _composed(text: str) -> yaml.Node | None:
    """By libyaml, a tenth of the time; what it refuses is read again, since its words help nobody."""
    try:
        return yaml.compose(text, Loader=_FAST)
    except yaml.MarkedYAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _build(
    node: yaml.Node,
    place: tuple[Key, ...],
    lines: dict[tuple[Key, ...], int],
    problems: list[Problem],
    file: str,
) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if node.tag not in _PLAIN:
        what = f"{node.tag}: a tag that is not plain YAML"
        problems.append(Problem(file, node.start_mark.line + 1, what, "write the value itself"))
        return None
    if isinstance(node, yaml.MappingNode):
        result: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node)
            line = key_node.start_mark.line + 1
            if key in result:
                problems.append(Problem(file, line, f"{key}: given twice", "keep one"))
                continue
            lines[(*place, key)] = line
            result[key] = _build(value_node, (*place, key), lines, problems, file)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*place, i), lines, problems, file) for i, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    """One value with YAML's own typing (SafeLoader builds it from the resolved tag)."""
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node, deep=True)
        return tuple(value) if isinstance(value, list) else value
    finally:
        loader.dispose()


def check(document: Document, model: type[Model]) -> tuple[Model | None, tuple[Problem, ...]]:
    """The file as `model`, or None and every problem in it, each with its line and a hint."""
    if document.data is None and document.problems:
        return None, document.problems
    if not isinstance(document.data, dict):
        problem = document.problem((), "must be a mapping of keys to values")
        return None, (*document.problems, problem)
    try:
        value = model.model_validate(document.data)
    except ValidationError as error:
        found = tuple(_problem(document, model, dict(item)) for item in error.errors(include_url=False))
        return None, (*document.problems, *found)
    return (None if document.problems else value), document.problems


def _problem(document: Document, model: type[BaseModel], item: dict[str, Any]) -> Problem:
    place = tuple(item["loc"])
    dotted = ".".join(str(part) for part in place if part != "[key]")
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, place[:-1])
        close = difflib.get_close_matches(str(place[-1]), known, 1)
        hint = f"did you mean {close[0]}?" if close else "known keys: " + ", ".join(known)
        return document.problem(place, f"{dotted}: unknown key", hint)
    if item["type"] == "missing":
        return document.problem(place, f"{dotted}: missing", "add it")
    message = _WORDS.get(item["type"]) or str(item["msg"]).removeprefix("Value error, ")
    what, _, hint = message.partition(" | ")
    shown = f", not {item['input']!r}" if isinstance(item["input"], (str, int, float, bool)) else ""
    subject = f"{dotted}: " if dotted else ""  # of the file as a whole
    return document.problem(place, f"{subject}{what[:1].lower()}{what[1:]}{shown}", hint)


def _known_keys(model: type[BaseModel], place: tuple[Key, ...]) -> list[str]:
    """Walk the JSON schema to the mapping an unknown key stands in."""
    schema = model.model_json_schema(by_alias=True)
    here: dict[str, Any] = schema
    for part in place:
        options = [here, *here.get("anyOf", [])]
        step = next((o for o in options if part in o.get("properties", {})), None)
        if step:
            here = step["properties"][part]
        else:
            nested: dict[str, Any] = next(
                (o for o in options if "items" in o or "additionalProperties" in o), {}
            )
            here = nested.get("items") or nested.get("additionalProperties") or {}
        here = _resolve(schema, here)
    return list(here.get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in [node, *node.get("anyOf", [])]:
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
            return resolved
    return node
