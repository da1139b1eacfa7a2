"""Check of the secret that the ingress sends to a UI; runs in a Job, and is never imported by the installer.

`change` waits until the new value is accepted beside the old one, `prove` until the old one is rejected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from time import monotonic

import urllib3

URL = f"http://{os.environ['HOST']}:{os.environ['PORT']}{os.environ['CHECK']}"
SECONDS = 110  # a kubelet shows a new value within a minute and a half at most
POOL = urllib3.PoolManager(retries=False, timeout=10)
UNAUTHORIZED, FAILED = 401, 500


def accepted(folder: str) -> bool | str:
    """Tell whether a value is accepted; the status or the error if the UI does not decide."""
    headers = {
        "X-Platform-Proxy": Path(f"/run/secrets/{folder}/value").read_text(),
        "X-Forwarded-Preferred-Username": "rotation",  # without a group: it has no right, and no UI keeps it
    }
    try:
        status = POOL.request("GET", URL, headers=headers, redirect=False).status
    except urllib3.exceptions.HTTPError as error:  # the pod is new: its node's rules may not lead there yet
        return str(error)
    return status != UNAUTHORIZED if status < FAILED and status != 429 else f"status {status}"


def main(wanted: dict[str, bool]) -> None:
    until = monotonic() + SECONDS
    while (seen := {folder: accepted(folder) for folder in wanted}) != wanted:
        if monotonic() > until:
            raise SystemExit(f"{URL}: accepted {seen}, not {wanted}")
        Event().wait(0.5)


if __name__ == "__main__":
    main({"new": True, "old": sys.argv[1] == "change"})
