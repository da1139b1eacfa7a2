"""Owns the preflight: everything a run needs of this machine, looked at in parallel, reported whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from installer.clusters.base import Check
from installer.context import Context
from installer.engine.steps import Difference
from installer.errors import PlatformError, PreflightError
from installer.progress import Progress
from installer.quantities import human

GIGABYTE = 10**9
_COLD_CACHE_BYTES = 12 * GIGABYTE
_WARM_CACHE_BYTES = 4 * GIGABYTE


def machine_checks(context: Context) -> tuple[Check, ...]:
    """All checks, none stopping another."""
    groups: tuple[Callable[[], Sequence[Check]], ...] = (
        context.cluster.checks,
        lambda: (_terraform(),),
        lambda: (_disk(context),),
    )
    with ThreadPoolExecutor(len(groups)) as pool:
        return tuple(check for found in pool.map(lambda group: group(), groups) for check in found)


def _terraform() -> Check:
    from installer.adapters.terraform import find_binary

    try:
        binary = find_binary()
    except PlatformError as error:
        return Check("terraform", "failure", error.what, error.why, error.hint)
    return Check(binary.product, "ok", binary.version)


def _disk(context: Context) -> Check:
    """Figures: what a cold run leaves at most, or what a warm one may still need."""
    place = context.paths.cache
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    built = all(context.programs.built(p) for p in context.cluster.programs)
    needed = _WARM_CACHE_BYTES if built else _COLD_CACHE_BYTES
    seen = f"{human(free)} free"
    if free < needed:
        fix = (
            "mlops-platform cache prune, or set MLOPS_PLATFORM_CACHE and MLOPS_PLATFORM_HOME to a larger disk"
        )
        return Check("disk", "failure", seen, f"{human(needed)} needed below {place}", fix)
    return Check("disk", "ok", seen)


@dataclass(frozen=True)
class CheckMachine:
    """Runs only when something must be built or made: a platform that is up has passed it."""

    context: Context
    id: str = "check/machine"
    layer: str = "check"
    requires: tuple[str, ...] = ()

    def observe(self) -> Difference | None:
        context = self.context
        if context.terraform.unchanged(context.cluster.variables()) and not context.cluster.alive():
            return None
        return Difference("look at this machine")

    def run(self, progress: Progress) -> None:
        checks = machine_checks(self.context)
        progress.say("  ".join(f"✔ {c.seen or c.name}" for c in checks if c.status == "ok"))
        for warning in (c for c in checks if c.status == "warning"):
            progress.note(f"{warning.name}: {warning.seen}: {warning.why}")
        failures = [c for c in checks if c.status == "failure"]
        if failures:
            raise PreflightError(
                f"this machine is not ready: {', '.join(c.name for c in failures)}",
                why="\n".join(f"{c.name}: {c.seen}: {c.why}" for c in failures),
                hint="\n".join(dict.fromkeys(c.fix for c in failures if c.fix)),
                command=f"mlops-platform check --env {self.context.environment.name}",
            )
