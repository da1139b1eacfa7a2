"""Check of a new password of the machines' account: it gives a token, the old password does not."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from time import monotonic

import requests

OLD, NEW = Path("/run/secrets/old"), Path("/run/secrets/new")
URL = f"http://{os.environ['HOST']}:{os.environ['PORT']}/auth/token"
SECONDS = 60


def status(account: Path) -> int:
    body = {
        key: (account / file).read_text() for key, file in (("username", "user"), ("password", "password"))
    }
    return requests.post(URL, json=body, timeout=30).status_code


def prove() -> None:
    """Retry with the new password: the pod is new, and the node's rules may not lead to it yet."""
    until = monotonic() + SECONDS
    while (seen := _status(NEW)) != 201:
        if monotonic() > until:
            raise SystemExit(f"the new password is not taken: {seen}")
        Event().wait(0.5)
    if (seen := status(OLD)) != 401:
        raise SystemExit(f"the old password is not refused: {seen}")


def _status(account: Path) -> int | str:
    try:
        return status(account)
    except requests.RequestException as error:
        return str(error)


if __name__ == "__main__":
    if sys.argv[1] == "prove":
        prove()
