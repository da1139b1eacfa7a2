"""The reason for which a container ends: Kubernetes shows it in the state of the pod."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

_LONGEST = 4000  # the kubelet cuts at 4096 bytes


class Failure(Exception):
    """A model cannot be fetched or loaded; the text is for its user."""


def end(reason: str) -> NoReturn:
    """Write the reason into the log and where the kubelet reads it, and end."""
    text = reason[:_LONGEST]
    Path(os.environ.get("TERMINATION_LOG", "/dev/termination-log")).write_text(text)
    raise SystemExit(text)
