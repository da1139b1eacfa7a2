"""Tests of times to live."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.base.ttl import expired, expiry

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ttl", "when"),
    [("90m", "2026-11-24T13:30"), ("4h", "2026-11-24T16:00"), ("2d", "2026-11-26T12:00")],
)
def test_ttl_is_added_to_now(ttl: str, when: str) -> None:
    assert expiry(ttl, NOW) == f"{when}:00+00:00"


@pytest.mark.parametrize("ttl", ["", "4", "h", "-4h", "0h", "4w", "4h30m", "1000000d", "91d"])
def test_wrong_ttl_is_a_usage_error(ttl: str) -> None:
    with pytest.raises(UsageError):
        expiry(ttl, NOW)


@pytest.mark.parametrize(
    ("expires", "over"),
    [
        ("", False),
        ("soon", False),
        ("2026-11-24T12:00:00", False),  # without a time zone
        ("2026-11-24T12:00:00+00:00", True),
        ("2026-11-24T12:00:01+00:00", False),
        ("2026-11-24T12:30:00+01:00", True),
    ],
)
def test_past_time_has_expired(expires: str, over: bool) -> None:
    assert expired(expires, NOW) is over
