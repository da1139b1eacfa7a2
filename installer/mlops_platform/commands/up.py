"""`up`: run the plan, then show the endpoints and the next commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.context import Context


def run(
    console: Console, *, yes: bool, allow_data_loss: bool, parallel: int, ttl: str = "", only: str = ""
) -> int:
    from mlops_platform.commands._confirm import agreed
    from mlops_platform.commands._run import counts, running
    from mlops_platform.console import screens
    from mlops_platform.plan import plan_up
    from mlops_platform.report.summary import news, summary_of
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.release.values import check_runnable

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    with running(console, opened) as run:
        if not only:
            check_runnable(run.context)
        run.context.cluster.require_same_location()
        if ttl:
            _limit(run.context, ttl)
        if not agreed(console, run.context, yes=yes, allow_data_loss=allow_data_loss):
            return console.done({"changed": 0}, f"{console.environment}: left as it is")
        result = run.engine(plan_up(run.context, only), parallel, news(run.context))
        if only:
            return console.done(counts(result), screens.up_to_cluster(console.environment, result))
        summary = summary_of(run.context)
    return console.done(counts(result) | summary.data, screens.up(summary, result))


def _limit(context: Context, ttl: str) -> None:
    """Set the time to live. Raises UsageError for a cluster that `reap` does not take down."""
    from mlops_platform.base.errors import UsageError
    from mlops_platform.base.ttl import expiry

    if not context.cluster.capabilities.expires:
        raise UsageError(f"--ttl: {context.environment.name} has no time to live: its cluster costs nothing")
    context.cluster.teardown.expire(expiry(ttl))
