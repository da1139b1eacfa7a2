"""Check plain data against a JSON Schema: the keywords that the schemas of our charts use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

Place = tuple[str | int, ...]
_TYPES = {
    "object": (dict, "must be a mapping of keys to values"),
    "array": (list, "must be a list"),
    "string": (str, "must be text | put it in quotes"),
    "integer": (int, "must be a whole number | without quotes"),
    "boolean": (bool, "must be true or false"),
}


@dataclass(frozen=True)
class Violation:
    """Value of a key that the schema does not allow, and how to fix it."""

    place: Place
    what: str
    hint: str = ""


def violations(schema: Mapping[str, Any], data: Any) -> Iterator[Violation]:
    """Yield everything in `data` that `schema` does not allow.

    Text with a template variable, `${…}`, is not compared with patterns: its value is not known yet.
    """
    yield from _Checker(schema).check(schema, data, ())


class _Checker:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def check(self, schema: Mapping[str, Any], value: Any, place: Place) -> Iterator[Violation]:
        if "$ref" in schema:
            target: Any = self._root
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            yield from self.check(target, value, place)
            return
        kind, words = _TYPES.get(schema.get("type", ""), (object, ""))
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            what, _, hint = words.partition(" | ")
            yield Violation(place, what + _shown(value), hint)
            return
        if "enum" in schema and value not in schema["enum"]:
            yield Violation(place, f"must be one of {', '.join(schema['enum'])}{_shown(value)}")
        for part in schema.get("allOf", ()):
            yield from self.check(part, value, place)
        if isinstance(value, dict):
            yield from self._mapping(schema, value, place)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.check(schema.get("items", {}), item, (*place, index))
        else:
            yield from _scalar(schema, value, place)

    def _mapping(
        self, schema: Mapping[str, Any], value: Mapping[str, Any], place: Place
    ) -> Iterator[Violation]:
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for key in schema.get("required", ()):
            if key not in value:
                yield Violation((*place, key), "missing", "add it")
        for key, needed in schema.get("dependencies", {}).items():
            if key in value:
                yield from (Violation((*place, n), "missing", "add it") for n in needed if n not in value)
        choices = [choice["required"][0] for choice in schema.get("oneOf", ())]
        if choices and sum(choice in value for choice in choices) != 1:
            yield Violation(place, f"must have exactly one of {', '.join(choices)}")
        for key, each in value.items():
            below = (*place, key)
            if "propertyNames" in schema:
                yield from self.check(schema["propertyNames"], key, below)
            if key in known:
                yield from self.check(known[key], each, below)
            elif others is False:
                close = difflib.get_close_matches(key, known, 1)
                hint = f"did you mean {close[0]}?" if close else "known keys: " + ", ".join(known)
                yield Violation(below, "unknown key", hint)
            elif others is not True:
                yield from self.check(others, each, below)


def _scalar(schema: Mapping[str, Any], value: Any, place: Place) -> Iterator[Violation]:
    if isinstance(value, str):
        pattern = schema.get("pattern", "")
        if len(value) < schema.get("minLength", 0):
            yield Violation(place, "must not be empty")
        if len(value) > schema.get("maxLength", len(value)):
            yield Violation(place, f"longer than {schema['maxLength']} characters")
        elif "${" not in value and pattern and not _compiled(pattern).search(value):
            yield Violation(place, f"not allowed{_shown(value)}", f"it must match {pattern}")
    elif isinstance(value, int) and not isinstance(value, bool):
        least, most = schema.get("minimum", value), schema.get("maximum", value)
        if not least <= value <= most:
            limits = f"from {least} to {most}" if most != value else f"at least {least}"
            yield Violation(place, f"must be {limits}{_shown(value)}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Go's `$` does not match before a line break at the end, Python's does."""
    return re.compile(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, (str, int, float, bool)) else ""
    return f", not {text if len(text) <= 60 else text[:59] + '…'}" if text else ""
