"""Owns reaching a cluster that is there already, for commands that make nothing: never up, dead, or asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.base.errors import StepError

if TYPE_CHECKING:
    from mlops_platform.run.context import Context
    from mlops_platform.run.open import Opened


# A first `up` that fails half way leaves a state with outputs that depend on nothing, such as the region;
# these are in it only once the cluster is made (docs/traps.md).
_WAY = ("cluster_name", "endpoint", "ca")


class NotUp(StepError):
    """Nothing of the environment was made here, or no cluster, or all of it has been taken down."""


def read_only(opened: Opened) -> Context:
    """A context without a run: nothing is recorded, nothing locked, so nothing may be changed."""

    from mlops_platform.base.cancel import Cancel
    from mlops_platform.run.open import context

    def refuse(_: object) -> None:
        raise AssertionError("a command that only looks was about to change the cluster")

    return context(opened, Cancel(), Path("/nonexistent"), refuse)


def find_way(work: Context) -> bool:
    """Fill the way to the cluster; False when Terraform's outputs know none. Asks nothing of the cluster."""
    outputs = work.terraform.outputs()
    if any(outputs.get(name) is None for name in _WAY):
        return False
    work.access.set(work.cluster.access(outputs))
    return True


def reach(work: Context) -> None:
    """Fill the way to the cluster. Raises NotUp, or StepError when the cluster cannot be asked."""
    name = work.environment.name
    if not find_way(work):
        raise not_up(name)
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
