"""Check a Document against a strict model: every problem with its line and a hint."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_platform.base.errors import Problem
from mlops_platform.base.yaml.document import Document
from mlops_platform.base.yaml.scalars import shown
from mlops_platform.base.yaml.tree import MOST_PROBLEMS, Place

Model = TypeVar("Model", bound=BaseModel)
RENAMED = "x-renamed"  # in a model's JSON schema: {old name of a key: its name now}
# pydantic speaks of inputs and instances; "what | how to fix it".
_WORDS = {
    "string_type": "must be text | put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number | without quotes",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
    "model_type": "must be a mapping of keys to values",
}


class Strict(BaseModel):
    """Base of the models of all files: no unknown key, no coercion, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def check(document: Document, model: type[Model]) -> tuple[Model | None, tuple[Problem, ...]]:
    """Return the file as `model`, or None and every problem in it."""
    if document.data is None and document.problems:
        return None, document.problems
    if not isinstance(document.data, dict):
        problem = document.problem((), "must be a mapping of keys to values")
        return None, (*document.problems, problem)
    try:
        value = model.model_validate(document.data)
    except ValidationError as error:
        items = [item for item in error.errors(include_url=False) if item["loc"] not in document.bad]
        found = [_problem(document, model, dict(item)) for item in items[:MOST_PROBLEMS]]
        if len(items) > MOST_PROBLEMS:
            found.append(Problem(document.file, 0, f"{len(items)} problems; {MOST_PROBLEMS} are shown"))
        return None, (*document.problems, *found)
    return (None if document.problems else value), document.problems


def _problem(document: Document, model: type[BaseModel], item: dict[str, Any]) -> Problem:
    place = tuple(item["loc"])
    dotted = ".".join(shown(str(part)) for part in place if part != "[key]")
    if item["type"] == "extra_forbidden":
        node = _node(model, place[:-1])
        if new := node.get(RENAMED, {}).get(str(place[-1])):
            return document.problem(place, f"{dotted}: renamed", f"write {new} in its place")
        known = list(node.get("properties", {}))
        close = difflib.get_close_matches(str(place[-1]), known, 1)
        hint = f"did you mean {close[0]}?" if close else "known keys: " + ", ".join(known)
        return document.problem(place, f"{dotted}: unknown key", hint)
    if item["type"] == "missing":
        return document.problem(place, f"{dotted}: missing", "add it")
    message = _WORDS.get(item["type"]) or str(item["msg"]).removeprefix("Value error, ")
    what, _, hint = message.partition(" | ")
    value = item["input"]
    given = f", not {shown(repr(value), 60)}" if isinstance(value, (str, int, float, bool)) else ""
    subject = f"{dotted}: " if dotted else ""  # of the file as a whole
    return document.problem(place, f"{subject}{what[:1].lower()}{what[1:]}{given}", hint)


def _node(model: type[BaseModel], place: Place) -> dict[str, Any]:
    """Walk the JSON schema to the mapping that has an unknown key."""
    schema = _schema(model)
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
    return here


@lru_cache(maxsize=8)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in [node, *node.get("anyOf", [])]:
        if "$ref" in option:
            resolved: dict[str, Any] = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
            return resolved
    return node
