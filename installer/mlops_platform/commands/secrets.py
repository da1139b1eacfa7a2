"""`secrets`: rotate values, synchronize the cluster with Vault, list secrets; no value is ever printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.context import Context
    from mlops_platform.steps.secrets.rotation import RotatableSecret


def run_rotate(console: Console, component: str, *, only: str) -> int:
    return _run(console, component, only, new=True)


def run_sync(console: Console, component: str) -> int:
    return _run(console, component, "", new=False)


def _run(console: Console, component: str, only: str, *, new: bool) -> int:
    from mlops_platform.commands._run import counts, running
    from mlops_platform.commands.smoke import require_known
    from mlops_platform.plan_rotate import plan_rotation
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    require_known((component,), tuple(opened.environment.installed), name)
    look = read_only(opened)
    chosen = _chosen(look, component, only)
    reach(look)
    with running(console, opened) as run:
        reach(run.context)
        result = run.engine(plan_rotation(run.context, component, chosen, new=new))
    names = [secret.name for secret in chosen]
    did = "rotated, and the old values no longer work" if new else "synchronized with the secret store"
    data = counts(result) | {"component": component, "secrets": names}
    return console.done(data, f"{component}: {', '.join(names)} {did} · {result.seconds:.0f}s")


def _chosen(context: Context, component: str, only: str) -> tuple[RotatableSecret, ...]:
    from mlops_platform.steps.secrets.rotation import rotatable

    _require_store(context)
    found = rotatable(context, context.resolved[component])
    names = [secret.name for secret in found]
    if not found:
        raise UsageError(f"{component} has no secret that can be rotated")
    if only and only not in names:
        raise UsageError(f"{component} has no secret {only} to rotate", hint=f"it has {', '.join(names)}")
    return tuple(secret for secret in found if only in ("", secret.name))


def _require_store(context: Context) -> None:
    if not context.store:
        raise UsageError(
            f"{context.environment.name} has no secret store",
            why="its secrets are Kubernetes Secrets only",
            hint="add a component that provides secret-store to the environment, then run up",
        )


def run_list(console: Console) -> int:
    from dataclasses import asdict

    from mlops_platform.base.humanize import age, table
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.secrets.rotation import rows

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    _require_store(context)
    reach(context)
    found = rows(context)
    cells = [
        (r.component, r.name, r.version, r.mirrored, age(r.changed) if r.changed else "-", r.rotated_by)
        for r in found
    ]
    data = [asdict(r) | {"changed": r.changed.isoformat() if r.changed else None} for r in found]
    headers = ("component", "secret", "version", "in cluster", "age", "rotated by")
    return console.done({"secrets": data}, table(headers, cells))
