"""Owns `up`: run the plan, then one screen of what is here and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.console import Console

if TYPE_CHECKING:
    from installer.context import Context


def run(
    console: Console, *, yes: bool, allow_data_loss: bool, parallel: int, ttl: str = "", only: str = ""
) -> int:
    from installer.consent import agreed
    from installer.console import screens
    from installer.plan import plan_up
    from installer.releases import refuse_unrunnable
    from installer.runs import counts, running
    from installer.session import open_environment
    from installer.summary import summary_of

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    with running(console, opened) as run:
        if not only:
            refuse_unrunnable(run.context)
        run.context.cluster.refuse_elsewhere()
        if ttl:
            _limit(run.context, ttl)
        if not agreed(console, run.context, yes=yes, allow_data_loss=allow_data_loss):
            return console.done({"changed": 0}, f"{console.environment}: left as it is")
        result = run.engine(plan_up(run.context, only), parallel)
        if only:
            return console.done(counts(result), screens.up_to_cluster(console.environment, result))
        summary = summary_of(run.context)
    return console.done(counts(result) | summary.data, screens.up(summary, result))


def _limit(work: Context, ttl: str) -> None:
    """Raises UsageError where nothing would ever take the environment down."""
    from installer.errors import UsageError
    from installer.lifetime import expiry

    if not work.cluster.expires:
        raise UsageError(f"--ttl: {work.environment.name} costs nothing and is nowhere but on this machine")
    work.cluster.expire(expiry(ttl))
