"""Owns `up`: run the plan, then one screen of what is here and what to do next."""

from __future__ import annotations

from installer.console import Console


def run(console: Console, *, parallel: int) -> int:
    from installer.console import screens
    from installer.plan import plan_up
    from installer.runs import counts, running
    from installer.session import open_environment
    from installer.summary import summary_of

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    with running(console, opened) as run:
        result = run.engine(plan_up(run.context), parallel)
        summary = summary_of(run.context)
    return console.done(counts(result) | summary.data, screens.up(summary, result))
