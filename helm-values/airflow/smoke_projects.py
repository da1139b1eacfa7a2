"""Smoke test in a project: Airflow answers its pods, but not without a login or the token of a task."""

from __future__ import annotations

import os
import sys
import uuid

import jwt
import requests
from probes import Probes, patiently

URL = os.environ["URL"]
SECONDS = 60


class Refused(Exception):
    """An answer with an error status."""


def ask(path: str, **headers: str) -> requests.Response:
    """Return an answer below 400, else raise Refused."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = requests.get(f"{URL}{path}", headers=named, timeout=SECONDS, allow_redirects=False)
    if answer.status_code >= 400:
        raise Refused(f"{answer.status_code} {answer.text[:300]}")
    return answer


def forged() -> str:
    """A token of a task, with a signature of ours."""
    claims = {"sub": str(uuid.uuid4()), "scope": "execution", "aud": "urn:airflow.apache.org:task"}
    return str(jwt.encode({**claims, "iat": 0, "nbf": 0, "exp": 2**40}, "x" * 64, algorithm="HS512"))


def probe(probes: Probes) -> None:
    with probes.works("the Execution API answers the project"):
        patiently(lambda: ask("/execution/health"), requests.RequestException, Refused)
    for name, path in (("REST API", "/api/v2/dags"), ("Execution API", "/execution/variables/key")):
        with probes.refused(f"the {name} without a login", Refused, "401 "):
            ask(path)
        with probes.refused(f"the {name} with a forged token", Refused, "401 ", "403 "):
            ask(path, Authorization=f"Bearer {forged()}")
    with probes.refused("a login by headers of the gateway", Refused, "401 "):
        ask(
            "/auth/login/",
            X_Forwarded_Preferred_Username="smoke",
            X_Forwarded_Groups="platform-admins",
            X_Platform_Proxy="guess",
        )


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](running)
    running.end()
