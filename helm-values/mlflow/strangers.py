"""Smoke tests of what MLflow must reject: unknown callers, other workspaces, pages of other sites."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import requests
from platform_mlflow import token
from probes import Probes

URL, WORKSPACE = os.environ["MLFLOW_TRACKING_URI"], os.environ["NAMESPACE"]
WORKSPACES = "api/3.0/mlflow/workspaces"
CREATE = "api/2.0/mlflow/experiments/create"
SEARCH, MODELS = "api/2.0/mlflow/experiments/search", "api/2.0/mlflow/registered-models/search"
ARTIFACTS = "api/2.0/mlflow-artifacts/artifacts"
PROXY_SECRET = Path("/run/secrets/proxy/value")
FOREIGN = Path("/run/secrets/identity/token")  # for Vault; only where there is one


class Refused(Exception):
    """An answer with an error status."""


def ask(method: str, path: str, **options: Any) -> requests.Response:
    """Send a request with the pod's token. Raises Refused for a status of 400 and more."""
    headers = {"Authorization": f"Bearer {token()}", **options.pop("headers", {})}
    sent = {name: value for name, value in headers.items() if value}
    answer = requests.request(method, f"{URL}/{path}", timeout=30, headers=sent, **options)
    if answer.status_code >= 400:
        raise Refused(f"{answer.status_code} {answer.text[:200]}")
    return answer


def person(user: str, groups: str, secret: str = "", workspace: str = "default") -> dict[str, str]:
    """Headers as the gateway sends them."""
    return {
        "Authorization": "",
        "X-Platform-Proxy": secret or PROXY_SECRET.read_text(),
        "X-Forwarded-User": user,
        "X-Forwarded-Preferred-Username": user,
        "X-Forwarded-Groups": groups,
        "X-MLFLOW-WORKSPACE": workspace,
    }


def callers(probes: Probes) -> None:
    head, body, signature = token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "aud": ["other"]}).encode()).rstrip(b"=").decode()
    wrong = {
        "no token": "",
        "a text that is no token": "Bearer nonsense",
        "a password": "Basic YTpi",
        "a token for another audience": f"Bearer {head}.{other}.{signature}",
        "a token with a changed signature": f"Bearer {head}.{body}.{signature[::-1]}",
    }
    if FOREIGN.exists():
        wrong["a token of this pod for Vault"] = f"Bearer {FOREIGN.read_text().strip()}"
    for name, value in wrong.items():
        with probes.refused(name, Refused, "401 "):
            ask("GET", MODELS, headers={"Authorization": value})
    with probes.refused("a person's headers with a wrong proxy secret", Refused, "401 "):
        ask("GET", MODELS, headers=person("ada", "platform-admins", "guess"))
    with probes.refused("a person in a group of the system", Refused, "403 "):
        ask("GET", MODELS, headers=person("ada", "system:masters"))
    with probes.works("an administrator reads what was there before projects"):
        ask("GET", MODELS, headers=person("ada", "platform-admins"))
    with probes.refused("an administrator who writes there", Refused, "403 "):
        ask("POST", CREATE, json={"name": "no"}, headers=person("ada", "platform-admins"))
    with probes.refused("a person without a group that has a role", Refused, "403 "):
        ask("GET", MODELS, headers=person("ada", "viewers"))


def workspaces(probes: Probes) -> None:
    with probes.works("the list of workspaces has only the own one"):
        names = [each["name"] for each in ask("GET", WORKSPACES).json()["workspaces"]]
        assert names == [WORKSPACE], names
    with probes.refused("another workspace", Refused, "403 "):
        ask("GET", MODELS, headers={"X-MLFLOW-WORKSPACE": "default"})
    with probes.refused("artifacts of another workspace", Refused, "400 ", "403 "):
        ask("GET", f"{ARTIFACTS}/workspaces/default/0")
    with probes.refused("a change of the place of artifacts", Refused, "403 "):
        ask("PATCH", f"{WORKSPACES}/{WORKSPACE}", json={"default_artifact_root": "s3://mlflow"})
    with probes.refused("a route that is not used here", Refused, "403 "):
        ask("GET", "api/3.0/mlflow/gateway/secrets/list")
    with probes.refused("a route that does not exist", Refused, "403 "):
        ask("GET", "nothing")


def pages(probes: Probes) -> None:
    """Requests that a page of another site could cause in a browser."""
    search = {"max_results": 1}
    with probes.works("a Host header with the server's name is accepted"):
        ask("POST", SEARCH, json=search)
    with probes.refused("a foreign Host header", Refused, "403 Invalid Host"):
        ask("POST", SEARCH, json=search, headers={"Host": "rebound.example.com"})
    with probes.refused("a Host header that only begins with the server's name", Refused, "403 Invalid Host"):
        host = URL.split("/")[2].split(":")[0]
        ask("POST", SEARCH, json=search, headers={"Host": f"{host}.example.com"})
    evil = {"Origin": "https://evil.example.com"}
    with probes.refused("a write from a page of another site", Refused, "403 Cross-origin"):
        ask("POST", CREATE, json={"name": "stolen"}, headers=evil)
    with probes.refused("an artifact outside of the store's folder", Refused, "400"):
        ask("GET", f"{ARTIFACTS}/%2e%2e/%2e%2e/etc/passwd")
    with probes.refused("an artifact uploaded by another site's page", Refused, "403 Cross-origin"):
        ask("PUT", f"{ARTIFACTS}/stolen", data=b"x", headers=evil)
