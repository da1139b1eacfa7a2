"""Entries of the cache that environments need, by their keys."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_platform.adapters.cachefile import Wanted
from mlops_platform.adapters.helm import cached_name
from mlops_platform.plan import plan_up
from mlops_platform.run.context import Context
from mlops_platform.steps.build import BuildImage, BuildProgram
from mlops_platform.steps.release.values import source_of


def needs(contexts: Iterable[Context]) -> dict[str, tuple[str, ...]]:
    """Map the key of each entry to the environments whose `up` needs it; `prune` keeps these.

    Raises PreflightError without Go: a program's key names its version.
    """
    found: dict[str, set[str]] = {}
    for context in contexts:
        wanted = wanted_by(context)
        for key in (*wanted.programs, *wanted.images, *wanted.charts):
            found.setdefault(key, set()).add(context.environment.name)
    return {key: tuple(sorted(names)) for key, names in found.items()}


def wanted_by(context: Context) -> Wanted:
    """The entries that one environment needs. Raises as `needs`.

    A program on PATH, such as Helm, is no entry.
    """
    steps = plan_up(context).steps
    folders = [context.programs.folder(step.program) for step in steps if isinstance(step, BuildProgram)]
    charts = (cached_name(source_of(resolved)) for resolved in context.resolved.values())
    return Wanted(
        programs=tuple(f.name for f in folders if f.is_relative_to(context.paths.cache)),
        images=tuple(context.images.key(step.name) for step in steps if isinstance(step, BuildImage)),
        charts=tuple(dict.fromkeys(filter(None, charts))),
    )
