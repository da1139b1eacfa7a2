"""The cost of an environment so far: its hours at the price of its smallest size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops_platform.report.preview import bill_of
from mlops_platform.run.context import Context


@dataclass(frozen=True)
class Spent:
    """The lower bound in dollars: every pool at its minimum, prices of the day `dated`."""

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
    """Return a meter; None for an environment that costs nothing, or whose start is unknown.

    Call it before the teardown, which removes the record with the start.
    """
    created, bill = work.cluster.cost.created_at(), bill_of(work)
    return Meter(bill.paid.least, datetime.fromisoformat(created), bill.dated) if created and bill else None
