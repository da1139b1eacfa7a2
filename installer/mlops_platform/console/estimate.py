"""The estimate of the remaining time: the critical path of the unfinished steps, timed by earlier runs."""

from __future__ import annotations

from collections.abc import Mapping


def remaining(
    unfinished: Mapping[str, float], edges: Mapping[str, tuple[str, ...]], expected: Mapping[str, float]
) -> tuple[tuple[str, ...], float]:
    """Return the critical path of the unfinished steps, and its seconds; empty when no time is known.

    `unfinished` maps each step to the seconds it has run, 0 before its start. A step that no earlier run
    has timed had nothing to do, and counts 0.
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
