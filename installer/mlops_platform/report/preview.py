"""The preview of `up`: changes, releases, data loss and price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.terraform.changes import Change, Changes
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError
from mlops_platform.base.progress import Progress
from mlops_platform.base.quantities import to_bytes
from mlops_platform.clusters.base import Cluster
from mlops_platform.clusters.bill import Bill
from mlops_platform.engine.engine import StepPlan, observe_all
from mlops_platform.plan import plan_up
from mlops_platform.run.connect import fill_access
from mlops_platform.run.context import Context

_GIB = 2**30


@dataclass(frozen=True)
class Loss:
    """Data that would be lost: its place, and what it is, in words."""

    where: str
    what: str


@dataclass(frozen=True)
class Preview:
    """The plan of one `up`.

    `changes` is None when Terraform made no plan: nothing differs, or the cluster requires no confirmation.
    `unasked` is the reason why a necessary plan was impossible.
    """

    environment: str
    where: str
    planned: tuple[StepPlan, ...]
    changes: Changes | None
    losses: tuple[Loss, ...]
    bill: Bill | None
    versions: Mapping[str, str]
    unasked: str = ""

    def as_data(self) -> dict[str, Any]:
        """The envelope's data."""
        return {
            "where": self.where,
            "steps": [_step(planned) for planned in self.planned],
            "cluster": changes_as_data(self.changes) if self.changes else None,
            "cluster_unknown": self.unasked,
            "data_loss": [vars(loss) for loss in self.losses],
            "price": self.bill.as_data() if self.bill else None,
        }


def build(work: Context, progress: Progress, cancel: Cancel, only: str = "") -> Preview:
    """Compare everything, change nothing. Raises PreflightError when the cloud cannot be asked."""
    cluster, terraform = work.cluster, work.terraform
    fill_access(work)  # components can be observed although the cluster itself will change
    planned = observe_all(plan_up(work, only))
    changes = (
        terraform.preview(cluster.variables(), progress, cancel)
        if cluster.capabilities.requires_confirmation
        else None
    )
    return of(work, changes, planned)


def without_asking(work: Context, error: PreflightError) -> Preview:
    """The preview without an answer of the cloud."""
    return of(work, None, (), unasked=error.what)


def of(
    work: Context, changes: Changes | None, planned: tuple[StepPlan, ...] = (), *, unasked: str = ""
) -> Preview:
    cluster = work.cluster
    return Preview(
        environment=work.environment.name,
        where=", ".join(filter(None, (cluster.where, cluster.simulated))),
        planned=planned,
        changes=changes,
        losses=losses(cluster, changes) if changes else (),
        bill=bill_of(work),
        versions={component.name: component.version for component in work.components},
        unasked=unasked,
    )


def bill_of(work: Context) -> Bill | None:
    """The price of the environment by its file; None: nothing. Sends no request."""
    return work.cluster.cost.bill(sum(_disk(work, name) for name in work.environment.installed) / _GIB)


def _disk(work: Context, name: str) -> int:
    """Bytes of the data volume of a component; 0 when it has none."""
    return to_bytes(work.environment.components[name].disk or work.catalog[name].resources.disk)


def losses(cluster: Cluster, changes: Changes) -> tuple[Loss, ...]:
    """The objects with data among those that would be destroyed or replaced."""
    lost = (
        (change, cluster.cost.data_loss(change)) for change in changes.destroying if not change.incomplete
    )
    return tuple(Loss(change.address, what) for change, what in lost if what)


def changes_as_data(changes: Changes) -> dict[str, Any]:
    counts = {action: len(changes.of(action)) for action in ("create", "update", "replace", "destroy")}
    return {**counts, "changes": [_plain(change) for change in changes.all]}


def _plain(change: Change) -> dict[str, Any]:
    """Omits `before`: large, and available from the state."""
    return {
        "address": change.address,
        "type": change.type,
        "action": change.action,
        "reason": change.reason,
        "details": list(change.details),
    }


def _step(planned: StepPlan) -> dict[str, Any]:
    difference = planned.difference
    return {
        "step": planned.step,
        "layer": planned.layer,
        "state": "unknown" if planned.unknown else "change" if difference else "unchanged",
        "summary": difference.summary if difference else planned.unknown,
        "changes": list(difference.changes) if difference else [],
        "destroys": bool(difference and difference.destroys),
    }
