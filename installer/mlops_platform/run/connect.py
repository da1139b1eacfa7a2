"""Access to a cluster that exists, for commands that create nothing."""

from __future__ import annotations

from pathlib import Path

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import NotUp, StepError
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened

# After a first `up` that failed half way, the state has outputs that depend on no resource, such as the
# region; it has these outputs only after the cluster is made (docs/traps.md).
_OUTPUTS = ("cluster_name", "endpoint", "ca")


def read_only(opened: Opened) -> Context:
    """A context without a run: it records nothing and takes no lock, so it must not change the cluster."""

    def refuse(_: object) -> None:
        raise AssertionError("a read-only command was about to change the cluster")

    return context_of(opened, Cancel(), Path("/nonexistent"), refuse)


def fill_access(context: Context) -> bool:
    """Fill `access` from Terraform's outputs; False if they have no cluster. Sends no request."""
    outputs = context.terraform.outputs()
    if any(outputs.get(name) is None for name in _OUTPUTS):
        return False
    context.access.set(context.cluster.access(outputs))
    return True


def reach(context: Context) -> None:
    """Fill `access`. Raises NotUp, or StepError if the cluster does not answer."""
    name = context.environment.name
    if not fill_access(context):
        raise NotUp(name)
    wrong = context.cluster.alive()
    if wrong:
        raise StepError(
            f"{name}: the cluster does not answer",
            why=wrong,
            hint=f"run `mlops-platform up --env {name}`: it restarts the cluster with its data",
            command=f"mlops-platform up --env {name}",
        )
