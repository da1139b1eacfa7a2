"""Owns `plan`: every step observed, none run."""

from __future__ import annotations

from installer.console import Console


def run(console: Console) -> int:
    from installer.console import screens
    from installer.engine.engine import observe_all
    from installer.plan import plan_up
    from installer.reach import read_only
    from installer.session import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    work = read_only(opened)
    planned = observe_all(plan_up(work))
    steps = [
        {
            "step": p.step,
            "layer": p.layer,
            "state": "unknown" if p.unknown else "change" if p.difference else "unchanged",
            "summary": p.difference.summary if p.difference else p.unknown,
            "changes": list(p.difference.changes) if p.difference else [],
            "destroys": bool(p.difference and p.difference.destroys),
        }
        for p in planned
    ]
    return console.done({"steps": steps}, screens.plan(name, work.cluster.name, planned))
