"""Owns the guess of what is left: the longest way through the unfinished steps, timed by earlier runs."""

from __future__ import annotations

from collections.abc import Mapping


def remaining(
    unfinished: Mapping[str, float], edges: Mapping[str, tuple[str, ...]], expected: Mapping[str, float]
) -> tuple[tuple[str, ...], float]:
    """The chain of unfinished steps that takes longest, and its seconds; no chain when nothing is known.

    `unfinished` maps each to the seconds it has run already, 0 when it has not begun. A step that no
    earlier run has timed is one that had nothing to do, and counts nothing.
    """
    best: dict[str, tuple[float, tuple[str, ...]]] = {}

    def longest(step: str) -> tuple[float, tuple[str, ...]]:
        if step not in best:
            own = max(0.0, expected.get(step, 0.0) - unfinished[step])
            before = [longest(needed) for needed in edges.get(step, ()) if needed in unfinished]
            seconds, path = max(before, default=(0.0, ()))
            best[step] = (seconds + own, (*path, step) if own else path)
        return best[step]

    seconds, path = max((longest(step) for step in unfinished), default=(0.0, ()))
    return path, seconds
