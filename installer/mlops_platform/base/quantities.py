"""Kubernetes quantities of CPU and memory."""

from __future__ import annotations

import re

_UNITS = {
    "": 1,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def to_bytes(quantity: str) -> int:
    """Convert '512Mi' to 536870912. Raises ValueError with a hint."""
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(Ki|Mi|Gi|Ti|k|M|G|T)?", quantity)
    if not match:
        raise ValueError("not an amount of bytes | write an amount such as 512Mi or 10Gi")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def to_cores(quantity: str) -> float:
    """Convert '250m' to 0.25. Raises ValueError with a hint."""
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(m)?", quantity)
    if not match:
        raise ValueError("not an amount of CPU | write an amount such as 250m or 2")
    return float(match[1]) / (1000 if match[2] else 1)


def memory(quantity: str) -> str:
    """Check a quantity and return it unchanged."""
    to_bytes(quantity)
    return quantity


def cpu(quantity: str) -> str:
    """Check a quantity and return it unchanged."""
    to_cores(quantity)
    return quantity


def human(count: float) -> str:
    """Format bytes: '1.2 GB', with decimal units as df -H and disk vendors."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
