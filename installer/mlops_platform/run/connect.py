"""Access to a cluster that exists, for commands that create nothing."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import NotUp, StepError
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened

# A first `up` that fails half way leaves a state with outputs that depend on nothing, such as the region;
# these are in it only once the cluster is made (docs/traps.md).
_OUTPUTS = ("cluster_name", "endpoint", "ca")


def read_only(opened: Opened) -> Context:
    """A context without a run: it records and locks nothing, so it may change nothing."""

    def refuse(_: object) -> None:
        raise AssertionError("a read-only command was about to change the cluster")

    return context_of(opened, Cancel(), Path("/nonexistent"), refuse)


def find_way(work: Context) -> bool:
    """Fill `access` from Terraform's outputs; False when they have no cluster. Sends no request."""
    outputs = work.terraform.outputs()
    if any(outputs.get(name) is None for name in _OUTPUTS):
        return False
    work.access.set(work.cluster.access(outputs))
    return True


def reach(work: Context) -> None:
    """Fill `access`. Raises NotUp, or StepError when the cluster does not answer."""
    name = work.environment.name
    if not find_way(work):
        raise NotUp(name)
    wrong = work.cluster.alive()
    if wrong:
        raise StepError(
            f"{name}: the cluster does not answer",
            why=wrong,
            hint=f"`mlops-platform up --env {name}` brings it back with its data",
            command=f"mlops-platform up --env {name}",
        )
