"""The price of an environment: hourly charges, minimum and maximum, and their sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """Dollars per hour: with every pool at its minimum, and at its maximum."""

    least: float
    most: float


@dataclass(frozen=True)
class Charge:
    """One line of a bill. A span of None is an unknown price, not 0.

    `on_demand` and `spot` are the two prices; `by_spot`: the environment uses spot. Without a spot market,
    `spot` is None.
    """

    what: str
    detail: str
    on_demand: Span | None
    spot: Span | None = None
    by_spot: bool = False

    @property
    def paid(self) -> Span | None:
        return self.spot if self.by_spot else self.on_demand


@dataclass(frozen=True)
class Bill:
    """The price of an environment by its file; `dated` is the day of the price table, ISO 8601."""

    charges: tuple[Charge, ...]
    dated: str
    excludes: str
    hours_per_month: int

    @property
    def paid(self) -> Span:
        """The sum of the known prices; see `unknown` for the rest."""
        spans = [charge.paid for charge in self.charges if charge.paid]
        return Span(sum(s.least for s in spans), sum(s.most for s in spans))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Lines without a price, which must be shown beside the sum."""
        return tuple(f"{c.what} ({c.detail})" for c in self.charges if c.paid is None)

    @property
    def savings(self) -> float:
        """The share of the maximum that spot saves, compared with on-demand: 0.61 is 61 %."""
        both = [(c.on_demand, c.spot) for c in self.charges if c.by_spot]
        less = sum(o.most - s.most for o, s in both if o and s)
        return less / (self.paid.most + less) if less else 0.0

    def monthly(self, hourly: float) -> float:
        return hourly * self.hours_per_month

    def as_data(self) -> dict[str, Any]:
        """The envelope's data; an unknown price is null."""
        return {
            "currency": "USD",
            "table": self.dated,
            "excludes": self.excludes,
            "hourly": _span(self.paid),
            "monthly": _span(Span(self.monthly(self.paid.least), self.monthly(self.paid.most))),
            "spot_saves": round(self.savings, 4),
            "unknown": list(self.unknown),
            "charges": [
                {
                    "what": c.what,
                    "detail": c.detail,
                    "on_demand": _span(c.on_demand),
                    "spot": _span(c.spot),
                    "by_spot": c.by_spot,
                }
                for c in self.charges
            ],
        }


def _span(span: Span | None) -> dict[str, float] | None:
    return {"min": round(span.least, 4), "max": round(span.most, 4)} if span else None
