"""Builds the tree of a YAML text from libyaml's events.

libyaml scans and parses. Its own composer is not used: it recurses in C, so 200,000 brackets end the process,
and nine lines of aliases become 10^9 values where they are walked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from mlops_platform.base.yaml.scalars import BadScalar, Resolve, shown
from mlops_platform.base.yaml.tree import Place, Tree

Event = Any  # typeshed gives an event neither its anchor nor, surely, a mark
MOST_DEPTH = 100
_TAG = "tag:yaml.org,2002:"


class Builder:
    """Builds data from events. Depth is bounded, so the recursion is."""

    many = False  # documents in one text

    def __init__(self, tree: Tree, resolve: Resolve, most: int) -> None:
        self.tree = tree
        self._resolve = resolve
        self._most = most
        self._count = 0
        self._depth = 0
        self._in_key = 0  # nesting of lists and mappings in place of a key
        self._height = 0  # the depth that the present collection reaches, with its aliases
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}  # value, values, height; None: open

    def build(self, text: str) -> None:
        self._event: Callable[[], Event] = CParser(text).get_event
        for event in self._documents():
            if self.tree.documents and not self.many:
                self.tree.stop(event.start_mark.line + 1, "a second document", "write one file for each")
            self.tree.documents.append(self._value(self._event(), self._root()))

    def _root(self) -> Place:
        return ()

    def _documents(self) -> Iterator[Event]:
        while event := self._event():
            if isinstance(event, DocumentStartEvent):
                self._anchors.clear()
                yield event

    def _value(self, event: Event, place: Place) -> Any:
        kind = type(event)
        self.tree.lines.setdefault(place, event.start_mark.line + 1)
        self._add(event, 1)
        if kind is ScalarEvent:
            value = self._scalar(event, place)
            if event.anchor:
                self._anchors[event.anchor] = value, 1, 0
            return value
        if kind is AliasEvent:
            return self._alias(event, place)
        return self._collection(event, place)

    def _add(self, event: Event, values: int) -> None:
        self._count += values
        if self._count > self._most:
            what = f"more than {self._most} values, those of aliases counted at each place"
            self.tree.stop(event.start_mark.line + 1, what, "write less into one file")

    def _collection(self, event: Any, place: Place) -> Any:
        before, outer = self._count, self._height
        mapping = type(event) is MappingStartEvent
        self._depth += 1
        self._height = self._depth
        self._check_depth(event)
        if event.anchor:
            self._anchors[event.anchor] = None
        value = self._mapping(place) if mapping else self._sequence(place)
        self._depth -= 1
        if event.anchor:
            self._anchors[event.anchor] = value, self._count - before, self._height - self._depth
        self._height = max(outer, self._height)
        if event.tag is not None and event.tag != _TAG + ("map" if mapping else "seq"):
            return self._foreign_tag(event, place)
        return value

    def _check_depth(self, event: Event) -> None:
        if self._height > MOST_DEPTH:
            what = f"nested deeper than {MOST_DEPTH} levels"
            self.tree.stop(event.start_mark.line + 1, what, "write it flatter")

    def _sequence(self, place: Place) -> list[Any]:
        result: list[Any] = []
        while type(event := self._event()) is not SequenceEndEvent:
            result.append(self._value(event, (*place, len(result))))
        return result

    def _mapping(self, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        lines = self.tree.lines
        while type(event := self._event()) is not MappingEndEvent:
            line = event.start_mark.line + 1
            key = self._key(event, place)
            if key is None:
                self._value(self._event(), (*place, ""))  # read on, for its own problems
            elif key in result:
                self.tree.report(line, f"{shown(key)}: given twice", "keep one")
                self._value(self._event(), (*place, key))
            else:
                inner = (*place, key)
                lines[inner] = line
                result[key] = self._value(self._event(), inner)
        return result

    def _key(self, event: Any, place: Place) -> str | None:
        """A key is text, as in JSON. None after a problem."""
        line = event.start_mark.line + 1
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            if not self._in_key:
                what = "mapping" if isinstance(event, MappingStartEvent) else "list"
                hint = "put text that begins with { or [ in quotes"
                self.tree.report(line, f"a {what} in place of a key", hint, place)
            self._in_key += 1
            self._value(event, (*place, ""))
            self._in_key -= 1
            return None
        known = len(self.tree.problems)
        plain = type(event) is ScalarEvent and event.tag is None and event.implicit[0]
        if plain and event.value == "<<":
            self.tree.report(line, "<<: merge keys are not YAML 1.2", "write the keys themselves", place)
            return None
        self._add(event, 1)
        key = self._alias(event, place) if type(event) is AliasEvent else self._scalar(event, place)
        if type(event) is ScalarEvent and event.anchor:
            self._anchors[event.anchor] = key, 1, 0
        if isinstance(key, str):
            return key
        if len(self.tree.problems) == known:
            text = shown(event.value) if type(event) is ScalarEvent else f"*{event.anchor}"
            self.tree.report(line, f"{text}: a key must be text", f'write "{text}"', place)
        return None

    def _scalar(self, event: Any, place: Place) -> Any:
        text: str = event.value
        if event.tag is None and not event.implicit[0]:
            return text
        try:
            return self._resolve(text) if event.tag is None else self._tagged(event)
        except BadScalar as error:
            what, _, hint = str(error).partition(" | ")
            self.tree.report(event.start_mark.line + 1, what, hint, place)
            return None

    def _tagged(self, event: Any) -> Any:
        name, text = event.tag.removeprefix(_TAG), event.value
        if name == "str":
            return text
        value = self._resolve(text)
        if name == "float" and type(value) is int:
            return float(value)
        if {"int": int, "float": float, "bool": bool, "null": type(None)}.get(name) is type(value):
            return value
        raise BadScalar(_foreign(event.tag) + " | write the value itself")

    def _alias(self, event: Any, place: Place) -> Any:
        line, name = event.start_mark.line + 1, event.anchor
        if name not in self._anchors:
            self.tree.report(line, f"*{shown(name)}: no such anchor", f"put &{shown(name)} before it", place)
            return None
        found = self._anchors[name]
        if not found:
            self.tree.report(line, f"*{shown(name)}: an alias inside its own anchor", "write it out", place)
            return None
        value, values, height = found
        self._add(event, values)
        self._height = max(self._height, self._depth + height)
        self._check_depth(event)
        return value

    def _foreign_tag(self, event: Any, place: Place) -> None:
        self.tree.report(event.start_mark.line + 1, _foreign(event.tag), "write the value itself", place)


def _foreign(tag: str) -> str:
    short = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
    return f"{shown(short)}: a tag that does not fit the value, or is not plain YAML"


class DocumentsBuilder(Builder):
    """Builds several documents as strictly as one."""

    many = True

    def _root(self) -> Place:
        return (len(self.tree.documents),)


class KubernetesBuilder(Builder):
    """Builds data as the Go programs do: see https://pkg.go.dev/sigs.k8s.io/yaml#YAMLToJSON."""

    many = True

    def _mapping(self, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while type(event := self._event()) is not MappingEndEvent:
            key, value = self._value(event, place), self._value(self._event(), place)
            if type(event) is ScalarEvent and event.value == "<<" and event.implicit[0]:
                for source in reversed(value) if isinstance(value, list) else [value]:
                    result.update(source if isinstance(source, dict) else {})
            elif isinstance(key, str):
                result[key] = value
            elif key is None or isinstance(key, (dict, list)):
                self.tree.report(event.start_mark.line + 1, "a key that is not text")
            else:
                result[_key_text(key)] = value
        return result


def _key_text(key: float | bool) -> str:
    return str(key).lower() if isinstance(key, bool) else f"{key:g}" if isinstance(key, float) else str(key)
