"""Check of new keys: the proxy and the hub accept tokens made of them, and reject those of the old keys."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SECRETS = Path("/run/secrets")
ROUTES, HUB = (f"http://{os.environ['HOST']}:{port}" for port in (8001, 8081))  # component.yaml: serves
OK, DENIED = 200, 403
_SECONDS = 90  # the pods are new: the node's rules may not lead to them yet


def statuses(folder: str) -> dict[str, int | str]:
    """The answers to a token of the hub at the proxy, and to one of the installer at the hub."""
    key = (SECRETS / folder / "routes").read_text().strip()
    installer = hashlib.sha256(f"installer {key}".encode()).hexdigest()  # as hub_config.py makes it
    return {
        "proxy": _status(f"{ROUTES}/api/routes", key),
        "hub": _status(f"{HUB}/hub/api/users?limit=1", installer),
    }


def prove() -> None:
    until = monotonic() + _SECONDS
    wanted = {"new": dict.fromkeys(("proxy", "hub"), OK), "old": dict.fromkeys(("proxy", "hub"), DENIED)}
    while (seen := {folder: statuses(folder) for folder in wanted}) != wanted:
        if monotonic() > until:
            raise SystemExit(f"answers to the new keys and to the old ones: {seen}, not {wanted}")
        Event().wait(0.5)


def _status(url: str, token: str) -> int | str:
    request = Request(url, headers={"Authorization": f"token {token}"})  # noqa: S310 - http
    try:
        with urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except OSError as error:
        return str(error)


if __name__ == "__main__":
    if sys.argv[1] == "prove":
        prove()
