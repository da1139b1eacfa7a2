"""The time when the node's certificates are due for renewal, cheap to read for a no-op run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mlops_platform.base.files import write_private
from mlops_platform.clusters.host.layout import Place

RENEW = timedelta(days=30)
_ENDS_FILE = "ends"


def record(place: Place, ends: datetime) -> None:
    """Store the expiry of the first certificate."""
    write_private(place.pki / _ENDS_FILE, ends.isoformat())


def due(place: Place, now: datetime | None = None) -> str:
    """Return '', or the reason when a certificate expires within RENEW."""
    try:
        ends = datetime.fromisoformat((place.pki / _ENDS_FILE).read_text())
    except FileNotFoundError:
        return ""
    left = ends - (now or datetime.now(UTC))
    return f"a certificate of the node expires in {max(left.days, 0)} days" if left < RENEW else ""
