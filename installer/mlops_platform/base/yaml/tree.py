"""The data of a YAML text: documents, the line of each value, and the problems found so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mlops_platform.base.errors import Problem

Key = str | int
Place = tuple[Key, ...]
MOST_PROBLEMS = 100


class Fatal(Exception):
    """The rest of the text cannot be read."""


@dataclass
class Tree:
    """Documents read so far. `bad` are places whose value could not be read."""

    file: str
    documents: list[Any] = field(default_factory=list)
    lines: dict[Place, int] = field(default_factory=dict)
    bad: set[Place] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def report(self, line: int, what: str, hint: str = "", place: Place = ()) -> None:
        """Record a problem. Raises Fatal after the hundredth."""
        self.bad.add(place)
        self.problems.append(Problem(self.file, line, what, hint))
        if len(self.problems) >= MOST_PROBLEMS:
            self.stop(0, f"more than {MOST_PROBLEMS} problems; the rest of the file was not read")

    def stop(self, line: int, what: str, hint: str = "") -> None:
        """Record a problem and raise Fatal."""
        self.problems.append(Problem(self.file, line, what, hint))
        raise Fatal
