"""Smoke test of the golden path: the example runs in a project, from data to a served model, twice."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Event
from typing import Any

import requests
from apiserver import PROJECT, Object, get
from probes import Probes, patiently

URL, DAG = os.environ["URL"], f"{PROJECT}.golden_path"
ACCOUNT = Path("/run/secrets/machine")
SECONDS, LOG = 660, 1500


class Refused(Exception):
    """An answer with an error status."""


class Airflow:
    """The REST API, as the account of machines."""

    def __init__(self) -> None:
        body = {"username": (ACCOUNT / "user").read_text(), "password": (ACCOUNT / "password").read_text()}
        self._headers: dict[str, str] = {}
        made = self("POST", "/auth/token", body)
        self._headers = {"Authorization": f"Bearer {made['access_token']}"}

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, URL + path, json=body, headers=self._headers, timeout=60)
        if answer.status_code >= 400:
            raise Refused(f"{answer.status_code} {answer.text[:200]}")
        return answer.json()

    def run(self, dag: str) -> str:
        """Start a run, and return its id when it has succeeded."""
        made = self("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None})
        path, until = f"/api/v2/dags/{dag}/dagRuns/{made['dag_run_id']}", time.monotonic() + SECONDS
        while (state := self("GET", path)["state"]) in ("queued", "running"):
            if time.monotonic() > until:
                break
            Event().wait(2)
        if state != "success":
            raise AssertionError(f"the run is {state}: {self._why(path)}")
        return path

    def _why(self, path: str) -> str:
        """The states of the tasks, and the end of the log of one that did not succeed."""
        tasks = self("GET", f"{path}/taskInstances")["task_instances"]
        states = {each["task_id"]: each["state"] for each in tasks}
        bad = [each for each in tasks if each["state"] not in ("success", "upstream_failed", None)]
        text = f"{states}"
        for each in bad[:1]:
            log = self("GET", f"{path}/taskInstances/{each['task_id']}/logs/{max(each['try_number'], 1)}")
            text += f" {each['task_id']}: {str(log)[-LOG:]}"
        return text

    def value(self, path: str, task: str) -> Any:
        return self("GET", f"{path}/taskInstances/{task}/xcomEntries/return_value")["value"]


def served() -> Object:
    return get("serving.kserve.io/v1beta1", "inferenceservices", "flowers")


def main() -> None:
    probes = Probes()
    airflow = patiently(Airflow, Refused, requests.RequestException)
    with probes.works("the example checks data, trains, registers and serves a model, and asks it"):
        airflow("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        first = airflow.run(DAG)
        assert served()["spec"]["predictor"]["model"]["storageUri"] == "mlflow://flowers/1"
    with probes.works("a second run with the same inputs makes no second run, version or rollout"):
        before = served()["metadata"]["generation"]
        second = airflow.run(DAG)
        for task in ("train", "register"):
            assert airflow.value(first, task) == airflow.value(second, task), task
        assert served()["metadata"]["generation"] == before
    with probes.refused("a run of a DAG that the project does not have", Refused, "404 "):
        airflow("POST", f"/api/v2/dags/{PROJECT}.other/dagRuns", {"logical_date": None})
    probes.end()


if __name__ == "__main__":
    main()
