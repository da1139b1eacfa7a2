"""Owns what an environment has cost so far: its hours at the price of its smallest size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlops_platform.run.context import Context


@dataclass(frozen=True)
class Spent:
    """At least that much, in dollars: with every pool at its minimum, by the table of the day `dated`."""

    dollars: float
    hours: float
    dated: str

    def as_data(self) -> dict[str, Any]:
        return {
            "currency": "USD",
            "at_least": round(self.dollars, 2),
            "hours": round(self.hours, 2),
            "table": self.dated,
        }


@dataclass(frozen=True)
class Meter:
    """Dollars an hour since a time."""

    hourly: float
    since: datetime
    dated: str

    def now(self) -> Spent:
        hours = max(0.0, (datetime.now(UTC) - self.since).total_seconds() / 3600)
        return Spent(hours * self.hourly, hours, self.dated)


def spent_so_far(work: Context) -> Meter | None:
    """None for what costs nothing, or of which nobody knows since when it runs.

    Asked before the way down: the record that says since when goes with the environment.
    """
    from mlops_platform.report.preview import bill_of

    made, bill = work.cluster.cost.created_at(), bill_of(work)
    return Meter(bill.paid.least, datetime.fromisoformat(made), bill.dated) if made and bill else None
