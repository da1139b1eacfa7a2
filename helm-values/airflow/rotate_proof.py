"""Check of the secret that the gateway sends to Airflow.

`change` waits until the new value is accepted beside the old one, `prove` until the old one is rejected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from time import monotonic

import urllib3

URL = f"http://{os.environ['HOST']}:{os.environ['PORT']}/auth/login/"
SECONDS = 110  # a kubelet shows a new value within a minute and a half at most
POOL = urllib3.PoolManager(retries=False, timeout=10)


def status(folder: str) -> int | str:
    headers = {
        "X-Platform-Proxy": Path(f"/run/secrets/{folder}/value").read_text(),
        "X-Forwarded-Preferred-Username": "rotation",  # no group: a login that is refused makes no user
    }
    try:
        return POOL.request("GET", URL, headers=headers).status
    except urllib3.exceptions.HTTPError as error:  # the pod is new: its node's rules may not lead there yet
        return str(error)


def main(wanted: dict[str, int]) -> None:
    until = monotonic() + SECONDS
    while (seen := {folder: status(folder) for folder in wanted}) != wanted:
        if monotonic() > until:
            raise SystemExit(f"{URL} answers {seen}, not {wanted}")
        Event().wait(0.5)


if __name__ == "__main__":
    # 403: the login came through the gateway, and its user has no role.
    main({"new": 403, "old": 403 if sys.argv[1] == "change" else 401})
