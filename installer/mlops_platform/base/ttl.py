"""Time to live of an environment: `--ttl 4h`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mlops_platform.base.errors import UsageError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=90)  # a longer one is no ephemeral environment


def expiry(ttl: str, now: datetime | None = None) -> str:
    """Return the end of a time to live ('4h') by RFC 3339, in UTC. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6})([mhd])", ttl)
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not timedelta() < lasts <= _LONGEST:
        raise UsageError(
            f"--ttl {ttl}: not a time to live",
            hint="give minutes, hours or days, at most 90d: 90m, 4h, 2d",
            command="",
        )
    return ((now or datetime.now(UTC)) + lasts).isoformat(timespec="seconds")


def expired(expires: str, now: datetime | None = None) -> bool:
    """Test for a time that has passed. False for '' (never) and for a text that is no time."""
    try:
        return datetime.fromisoformat(expires) <= (now or datetime.now(UTC))
    except (ValueError, TypeError):
        return False
