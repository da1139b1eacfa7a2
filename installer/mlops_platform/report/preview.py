"""Owns what `up` would do, worked out before it does: changes, releases, what is lost, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import PreflightError
from mlops_platform.base.quantities import to_bytes

if TYPE_CHECKING:
    from mlops_platform.adapters.terraform.changes import Change, Changes
    from mlops_platform.base.cancel import Cancel
    from mlops_platform.base.progress import Progress
    from mlops_platform.clusters.base import Cluster
    from mlops_platform.clusters.bill import Bill
    from mlops_platform.engine.engine import StepPlan
    from mlops_platform.run.context import Context

_GIB = 2**30


@dataclass(frozen=True)
class Loss:
    """Data that would be gone: where it is, and what it is, in words."""

    where: str
    what: str


@dataclass(frozen=True)
class Preview:
    """`changes` is None where nothing was planned object by object: nothing differs, or the cluster's
    provider has nothing that is worth it. `unasked` says why that could not be done though it should."""

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
    """Ask everything and change nothing. Raises PreflightError when there is no way to ask the cloud."""
    from mlops_platform.engine.engine import observe_all
    from mlops_platform.plan import plan_up
    from mlops_platform.run.connect import find_way

    cluster, terraform = work.cluster, work.terraform
    find_way(work)  # what runs can be asked, also when the cluster it runs on is about to change
    planned = observe_all(plan_up(work, only))
    changes = (
        terraform.preview(cluster.variables(), progress, cancel)
        if cluster.capabilities.requires_confirmation
        else None
    )
    return of(work, changes, planned)


def without_asking(work: Context, error: PreflightError) -> Preview:
    """What can be said when the cloud cannot be asked."""
    return of(work, None, (), unasked=error.what)


def of(
    work: Context, changes: Changes | None, planned: tuple[StepPlan, ...] = (), *, unasked: str = ""
) -> Preview:
    cluster = work.cluster
    return Preview(
        environment=work.environment.name,
        where=cluster.where,
        planned=planned,
        changes=changes,
        losses=losses(cluster, changes) if changes else (),
        bill=bill_of(work),
        versions={component.name: component.version for component in work.components},
        unasked=unasked,
    )


def bill_of(work: Context) -> Bill | None:
    """What the environment costs as it is asked for; None: nothing. Asks nobody."""
    return work.cluster.cost.bill(sum(_disk(work, name) for name in work.environment.components) / _GIB)


def _disk(work: Context, name: str) -> int:
    """Bytes of the data volume of a component; 0 when it has none."""
    return to_bytes(work.environment.components[name].disk or work.catalog[name].resources.disk)


def losses(cluster: Cluster, changes: Changes) -> tuple[Loss, ...]:
    """Of the objects that would be destroyed or replaced, those that hold data."""
    told = (
        (change, cluster.cost.data_loss(change)) for change in changes.destroying if not change.incomplete
    )
    return tuple(Loss(change.address, what) for change, what in told if what)


def changes_as_data(changes: Changes) -> dict[str, Any]:
    counts = {action: len(changes.of(action)) for action in ("create", "update", "replace", "destroy")}
    return {**counts, "changes": [_plain(change) for change in changes.all]}


def _plain(change: Change) -> dict[str, Any]:
    """Without what was there before: it is long, and who asks for it has the state."""
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
