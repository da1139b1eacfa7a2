"""Smoke test in a temporary project: its own workspace works, the workspace of the other one is closed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import urllib3
from probes import Probes, patiently

URL, OWN, OTHER = os.environ["URL"], os.environ["PROJECT"], os.environ["OTHER"]
TOKEN = Path("/run/secrets/token/token")
API, WORKSPACES = "/api/2.0/mlflow", "/api/3.0/mlflow/workspaces"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class Refused(Exception):
    """An answer with an error status."""


def ask(method: str, path: str, body: object = None, workspace: str = "", data: bytes = b"") -> Any:
    """Send a request with the token of this pod; without a workspace, the server takes the own one."""
    headers = {"Authorization": f"Bearer {TOKEN.read_text().strip()}"}
    headers |= {"X-MLFLOW-WORKSPACE": workspace} if workspace else {}
    sent = {"body": data} if data else {"json": body}
    answer = urllib3.request(method, URL + path, headers=headers, retries=False, timeout=30, **sent)
    if answer.status >= 400:
        raise Refused(f"{answer.status} {answer.data[:200].decode(errors='replace')}")
    return answer.data if path.startswith(ARTIFACTS) else json.loads(answer.data or b"{}")


def probe(probes: Probes) -> None:
    experiment, run = "", ""
    with probes.works("the account of training jobs logs a run in its own workspace"):
        experiment = ask("POST", f"{API}/experiments/create", {"name": "isolation"})["experiment_id"]
        run = ask("POST", f"{API}/runs/create", {"experiment_id": experiment})["run"]["info"]["run_id"]
        metric = {"run_id": run, "key": "m", "value": 1.5, "timestamp": 1}
        ask("POST", f"{API}/runs/log-metric", metric)
    with probes.works("and an artifact, which comes back"):
        place = f"{ARTIFACTS}/workspaces/{OWN}/{experiment}/{run}/artifacts/note.txt"
        ask("PUT", place, data=OWN.encode())
        assert ask("GET", place) == OWN.encode()
    with probes.works("it sees only its own workspace, and only its own experiments"):
        assert [each["name"] for each in ask("GET", WORKSPACES)["workspaces"]] == [OWN]
        found = ask("POST", f"{API}/experiments/search", {"max_results": 100})["experiments"]
        assert {each["name"] for each in found} <= {"Default", "isolation"}, found
    for name, method, path, body in (
        ("runs", "POST", f"{API}/runs/search", {"experiment_ids": [experiment]}),
        ("models", "GET", f"{API}/registered-models/search", None),
        ("traces", "GET", f"{API}/traces?experiment_ids={experiment}", None),
        ("a new run", "POST", f"{API}/runs/create", {"experiment_id": experiment}),
        ("the deletion of an experiment", "POST", f"{API}/experiments/delete", {"experiment_id": experiment}),
    ):
        for other in (OTHER, "default"):
            where = "the other project" if other == OTHER else "workspace default"
            with probes.refused(f"{name} in {where}", Refused, "403 "):
                ask(method, path, body, workspace=other)
    with probes.refused("an artifact of the other project", Refused, "400 ", "403 "):
        ask("GET", f"{ARTIFACTS}/workspaces/{OTHER}/1/artifacts/note.txt")
    with probes.refused("the deletion of the own workspace", Refused, "403 "):
        ask("DELETE", f"{WORKSPACES}/{OWN}")
    with probes.refused("a new workspace", Refused, "403 "):
        ask("POST", WORKSPACES, {"name": f"{OWN}-2"})


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: ask("GET", WORKSPACES), urllib3.exceptions.HTTPError)
    probe(running)
    running.end()
