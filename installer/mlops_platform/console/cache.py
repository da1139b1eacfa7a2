"""The final screens of `cache export` and `cache import`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import labelled, plural

if TYPE_CHECKING:
    from mlops_platform.adapters.cachefile import Loaded

_KINDS = ("programs", "images", "charts")


def exported(
    target: str, sha256: str, names: Mapping[str, Sequence[str]], missing: Sequence[str], environment: str
) -> str:
    """The counts, what the cache does not have, and the command for the other machine."""
    lines = [f"{_counts(names)} in {target}"]
    if missing:
        lines += labelled("not built", " ".join(missing))
        lines += labelled("hint", f"`up` of {environment} builds them; export again after it")
    command = ["mlops-platform", "cache", "import", target, *([] if target == "-" else ["--sha256", sha256])]
    return "\n".join([*lines, "", *labelled("next", shlex.join(command), wrap=False)])


def imported(folder: str, loaded: Loaded) -> str:
    """The counts of new entries, and of those that were there."""
    if not loaded.new:
        return f"nothing to import: {folder} has everything"
    there = f", {sum(map(len, loaded.there.values()))} already there" if loaded.there else ""
    return f"{_counts(loaded.new)} imported into {folder}{there}"


def _counts(names: Mapping[str, Sequence[str]]) -> str:
    found = [plural(len(names[kind]), kind.removesuffix("s")) for kind in _KINDS if names.get(kind)]
    return ", ".join(found)
