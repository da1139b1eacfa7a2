"""The right that a request needs, by its method and path: the table in routes.txt."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PREFIXES = {"{api}": ("/api", "/ajax-api")}


@dataclass(frozen=True)
class Rule:
    """What a request needs: `verb` on `resource`, or without a resource `open`, `login` or `refused`."""

    verb: str
    resource: str = ""


OPEN, LOGIN, REFUSED = Rule("open"), Rule("login"), Rule("refused")


@dataclass(frozen=True)
class Route:
    """One line of routes.txt for one method and one prefix."""

    method: str
    path: str
    rule: Rule


@dataclass(frozen=True)
class Match:
    """The rule of a request, and the segments of its path that have no fixed text."""

    rule: Rule
    segments: tuple[str, ...] = ()


class Rules:
    """The rules of all routes. A request that no route matches is refused."""

    def __init__(self, text: str) -> None:
        self.routes = tuple(_read(text))
        self._exact = {(r.method, r.path): Match(r.rule) for r in self.routes if "<" not in r.path}
        # In the order of the file; MLflow also prefers a path without variable segments.
        self._patterns = [
            (r.method, _pattern(r.path), r.rule) for r in self.routes if (r.method, r.path) not in self._exact
        ]

    def match(self, method: str, path: str) -> Match:
        """Return the rule of a request; HEAD needs what GET needs."""
        method = "GET" if method == "HEAD" else method
        if found := self._exact.get((method, path)):
            return found
        for wanted, pattern, rule in self._patterns:
            if wanted == method and (variable := pattern.fullmatch(path)):
                return Match(rule, variable.groups())
        return Match(REFUSED)


def _read(text: str) -> Iterator[Route]:
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        needed, methods, path = line.split()
        verb, _, resource = needed.partition(":")
        for full in _expanded(path):
            yield from (Route(method, full, Rule(verb, resource)) for method in methods.split(","))


def _expanded(path: str) -> tuple[str, ...]:
    for short, prefixes in _PREFIXES.items():
        if path.startswith(short):
            return tuple(prefix + path.removeprefix(short) for prefix in prefixes)
    return (path,)


def _pattern(path: str) -> re.Pattern[str]:
    """The pattern of a path: <x> is one segment, <path:x> one or more."""
    parts = re.split(r"(<(?:path:)?x>)", path)
    kinds = {"<x>": "([^/]+)", "<path:x>": "(.+)"}
    return re.compile("".join(kinds.get(part) or re.escape(part) for part in parts), re.DOTALL)
