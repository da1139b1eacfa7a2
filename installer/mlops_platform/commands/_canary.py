"""`model serve --canary` and `--promote`, and the end of a canary whose stable version is served again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import UsageError
from mlops_platform.commands._models import require_same_model, row_of, unknown
from mlops_platform.commands._project import context_of_project, interruptible
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.project import ProjectContext
    from mlops_platform.steps.models.registry import Resolution
    from mlops_platform.steps.models.serve import Target


def canary(
    console: Console, reference: str, project: str, name: str, *, percent: int | None, promote: bool
) -> int:
    """Give a version a share of the requests beside the stable one, or make it the stable one."""
    from mlops_platform.adapters.kube.inference import API, KIND, canaries_of, version_of
    from mlops_platform.console import models as screens
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.canary import Canary, routed
    from mlops_platform.steps.models.options import parse
    from mlops_platform.steps.models.registry import opened, registry_of, resolve
    from mlops_platform.steps.models.serve import Target

    started = time.monotonic()
    wanted = parse(reference, name, "", "", "")
    context = context_of_project(console, project)
    kube = context.clients.kube
    with opened(context, project) as registry:
        found = resolve(registry, wanted.reference, project)
    existing = kube.get(API, KIND, wanted.name, project)
    if existing is None:
        raise unknown(console, context, wanted.name, project)
    require_same_model(console, existing, found.model, project)
    target = Target(console.environment, project, wanted.name, found.model, found.version)
    stable, others = version_of(existing["metadata"]), canaries_of(existing)
    _require_canary(target, stable, others, promote=promote)
    _, part = registry_of(context)
    again = target.command(f"serve {reference} " + ("--promote" if promote else f"--canary {percent}"))
    with (
        interruptible(again),
        routed(context, project, target.name) as shares,
        waiting(console) as say,
    ):
        act = Canary(kube, part, target, existing, shares, say)
        if not promote:
            act.start(percent or 0)
        elif others:
            act.promote()
    row = row_of(console, context, target.name, project)
    text = screens.canary(row, target.version, percent, time.monotonic() - started, again=target.command)
    return console.done({"model": row.data, "before": stable, "percent": percent, "promoted": promote}, text)


def _require_canary(target: Target, stable: str, others: Mapping[str, int], *, promote: bool) -> None:
    """Raise UsageError if the version cannot be a canary, or is none that can be promoted."""
    own = f"v{target.version}"
    promoted = promote and not others and stable == target.version
    if promoted or (own in others) or (not promote and not others and stable != target.version):
        return
    if promote:
        what = f"version {target.version} is no canary of {target.name}; nothing was changed"
        hint = "give it a share first"
        raise UsageError(
            what, hint=hint, command=target.command(f"serve {target.model}/{target.version} --canary 10")
        )
    known = ", ".join(others) or f"version {stable} is the stable one"
    raise UsageError(
        f"version {target.version} cannot be a canary of {target.name}; nothing was changed",
        why=f"canaries: {known}" if others else known,
        hint="promote the other canary, or end it by serving the stable version again",
        command=target.command(f"serve {target.model}/{stable}"),
    )


def end_canary(
    console: Console,
    context: ProjectContext,
    existing: dict[str, Any],
    name: str,
    found: Resolution,
    project: str,
) -> None:
    """End the canary of a model whose stable version is served again. Raises UsageError for another one."""
    from mlops_platform.adapters.kube.inference import canaries_of, version_of
    from mlops_platform.console.waiting import waiting
    from mlops_platform.steps.models.canary import Canary, routed
    from mlops_platform.steps.models.registry import registry_of
    from mlops_platform.steps.models.serve import Target

    (own, *_), stable = canaries_of(existing), version_of(existing["metadata"])
    target = Target(console.environment, project, name, found.model, own.removeprefix("v"))
    if found.version != stable:
        raise UsageError(
            f"{name} has a canary, {own}; nothing was changed",
            hint="promote it, or end it by serving the stable version again",
            command=target.command(f"serve {found.model}/{stable}"),
        )
    _, part = registry_of(context)
    with routed(context, project, name) as shares, waiting(console) as say:
        Canary(context.clients.kube, part, target, existing, shares, say).end(found)
