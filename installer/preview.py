"""Owns what `up` would do, worked out before it does: changes, releases, what is lost, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from installer.adapters.terraform.changes import Change, Changes
    from installer.bill import Bill
    from installer.clusters.base import ClusterProvider
    from installer.engine.engine import Planned

GIB = 2**30


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
    planned: tuple[Planned, ...]
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


def losses(cluster: ClusterProvider, changes: Changes) -> tuple[Loss, ...]:
    """Of the objects that would be destroyed or replaced, those that hold data."""
    told = ((change, cluster.holds(change)) for change in changes.destroying)
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


def _step(planned: Planned) -> dict[str, Any]:
    difference = planned.difference
    return {
        "step": planned.step,
        "layer": planned.layer,
        "state": "unknown" if planned.unknown else "change" if difference else "unchanged",
        "summary": difference.summary if difference else planned.unknown,
        "changes": list(difference.changes) if difference else [],
        "destroys": bool(difference and difference.destroys),
    }
