"""Short digests of plain data, to compare the desired state with the record."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def short_digest(data: Any) -> str:
    """Return 16 hex digits of JSON data; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
