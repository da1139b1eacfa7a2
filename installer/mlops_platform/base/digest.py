"""A short digest of plain data, for comparing what is wanted with what is recorded."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def short_digest(data: Any) -> str:
    """16 hex digits of anything JSON can hold; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
