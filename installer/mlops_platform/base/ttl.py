"""Owns times to live: what `--ttl 4h` means, and whether an environment's time has come."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mlops_platform.base.errors import UsageError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=90)  # whoever wants it longer wants no ephemeral environment


def expiry(ttl: str, now: datetime | None = None) -> str:
    """'4h' -> RFC 3339, in UTC. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6})([mhd])", ttl)
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < lasts <= _LONGEST:
        raise UsageError(
            f"--ttl {ttl}: not a time to live", hint="such as 90m, 4h or 2d; at most 90d", command=""
        )
    return ((now or datetime.now(UTC)) + lasts).isoformat(timespec="seconds")


def expired(expires: str, now: datetime | None = None) -> bool:
    """False for '', which is never, and for what nobody can read."""
    try:
        return datetime.fromisoformat(expires) <= (now or datetime.now(UTC))
    except (ValueError, TypeError):
        return False
