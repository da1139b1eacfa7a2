"""Owns `down`: drain, destroy, and the proof, said in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from installer.console import Console
from installer.errors import Exit

if TYPE_CHECKING:
    from installer.context import Context
    from installer.session import Opened


def run(console: Console, *, yes: bool, keep_data: bool) -> int:
    from installer.console import screens
    from installer.plan import plan_down
    from installer.runs import counts, running
    from installer.session import open_environment

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    if _never_was(opened):
        return console.done(
            {"changed": 0, "seen": 0, "left": []}, f"{name}: nothing to take down · 0 left of 0 seen"
        )
    if not yes and not _agreed(console, name, keep_data=keep_data):
        console.text(f"{name}: left as it is")
        return Exit.DONE
    with running(console, opened) as run:
        alive = _reached(run.context)
        planned = plan_down(run.context, keep_data=keep_data, alive=alive)
        try:
            result = run.engine(planned.graph)
        finally:
            left = planned.left.get() if planned.left.filled else ()
            console.add({"left": [vars(item) for item in left]})
    seen = planned.seen.get()
    return console.done(
        counts(result) | {"seen": seen, "left": []},
        screens.down(name, result, seen, left, kept=keep_data),
    )


def _never_was(opened: Opened) -> bool:
    """No state, and nothing of its name on this machine: looking must not leave a state folder behind."""
    from installer.reach import read_only

    return not opened.state.exists() and not read_only(opened).cluster.inventory()


def _reached(work: Context) -> bool:
    """Can the cluster still be drained? A dead one cannot, and one that never was need not."""
    outputs = work.terraform.outputs()
    if not outputs:
        return False
    work.access.set(work.cluster.access(outputs))
    return not work.cluster.alive()


def _agreed(console: Console, name: str, *, keep_data: bool) -> bool:
    from installer.errors import UsageError

    what = "its data is kept" if keep_data else "its data is deleted"
    answer = console.confirm(f"Take {name} down? {what[0].upper()}{what[1:]}.")
    if answer is None:
        raise UsageError(
            f"down would ask whether to take {name} down, and nobody can answer",
            hint="say --yes in scripts",
            command=f"mlops-platform down --env {name} --yes",
        )
    return answer
