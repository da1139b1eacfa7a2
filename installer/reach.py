"""Owns reaching a cluster that is there already, for commands that make nothing: never up, dead, or asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from installer.errors import StepError

if TYPE_CHECKING:
    from installer.context import Context
    from installer.session import Opened


class NotUp(StepError):
    """Nothing of the environment was made here, or all of it has been taken down."""


def read_only(opened: Opened) -> Context:
    """A context without a run: nothing is recorded, nothing locked, so nothing may be changed."""

    from installer.cancel import Cancel
    from installer.session import context

    def refuse(_: object) -> None:
        raise AssertionError("a command that only looks was about to change the cluster")

    return context(opened, Cancel(), Path("/nonexistent"), refuse)


def reach(work: Context) -> None:
    """Fill the way to the cluster. Raises NotUp, or StepError when the cluster cannot be asked."""
    name = work.environment.name
    outputs = work.terraform.outputs()
    if not outputs:
        raise not_up(name)
    work.access.set(work.cluster.access(outputs))
    wrong = work.cluster.alive()
    if wrong:
        raise StepError(
            f"{name}: the cluster cannot be asked",
            why=wrong,
            hint=f"`mlops-platform up --env {name}` brings it back with its data",
            command=f"mlops-platform up --env {name}",
        )


def not_up(name: str) -> NotUp:
    return NotUp(f"{name} is not up", hint="bring it up first", command=f"mlops-platform up --env {name}")
