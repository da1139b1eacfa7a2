"""The order of things that require each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def in_order(requires: Mapping[str, Iterable[str]]) -> list[str]:
    """Sort names so that each comes after those it requires. Raises ValueError for a cycle."""
    done: dict[str, None] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in done:  # else a name is visited once for each path to it
            return
        if name in trail:
            raise ValueError("cycle: " + " → ".join([*trail, name]))
        for needed in requires[name]:
            visit(needed, (*trail, name))
        done[name] = None

    for name in requires:
        visit(name, ())
    return list(done)
