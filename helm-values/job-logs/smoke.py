"""Smoke test of job logs: complete after the pods and the collector are gone; refused to others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from apiserver import PROJECT, NotYetError, Refused, create, delete, items, pod_spec
from probes import Probes, patiently

URL, TOKEN = os.environ["URL"], Path("/run/secrets/token/token")
SHORT, LONG = "short", "long"
LINES = 60  # of the job that runs while the collector is deleted
COUNTING = f"import time\nfor i in range({LINES}): print('line', i, flush=True); time.sleep(0.1)"


def read(path: str, token: str | None = None) -> str:
    """Read from the server, with the token of this account."""
    token = TOKEN.read_text() if token is None else token
    headers = {"Authorization": f"Bearer {token}"}
    request = Request(f"{URL}/v1/projects/{path}", headers=headers)  # noqa: S310 - our own Service
    with urlopen(request, timeout=20) as answer:  # noqa: S310
        return str(answer.read().decode())


def start(name: str, program: str) -> None:
    pod = {**pod_spec("main", "python3", "-c", program), "restartPolicy": "Never"}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    # The project is new: its account may not be there yet.
    patiently(
        lambda: create("batch/v1", "jobs", {"kind": "Job", "metadata": {"name": name}, "spec": spec}), Refused
    )


def ended(name: str) -> dict[str, Any]:
    """The log of a job whose container has ended. Raises NotYetError."""
    try:
        logs = json.loads(read(f"{PROJECT}/jobs/{name}"))["logs"]
    except HTTPError as error:
        if error.code != 404:
            raise
        raise NotYetError(f"no log of {name}") from error
    if len(logs) != 1 or logs[0]["end"] is None:
        raise NotYetError(f"the log has not ended: {logs}")
    return dict(logs[0])


def text_of(name: str) -> str:
    log = patiently(lambda: ended(name), NotYetError, OSError)
    return read(f"{PROJECT}/jobs/{name}/pods/{log['pod']}/containers/main")


def gone(name: str) -> None:
    if items("v1", "pods", f"batch.kubernetes.io/job-name={name}"):
        raise NotYetError("the pod is still there")


def probe(probes: Probes) -> None:
    with probes.works("the log of a failed job, after its pod is gone"):
        start(SHORT, "print('the reason'); raise SystemExit(3)")
        log = patiently(lambda: ended(SHORT), NotYetError, OSError)
        assert log["end"]["exitCode"] == 3, log
        delete("batch/v1", "jobs", SHORT)
        patiently(lambda: gone(SHORT), NotYetError)
        assert text_of(SHORT) == "the reason\n", text_of(SHORT)
    with probes.refused("logs of a project in which the account has no right", HTTPError, "403"):
        read("default/jobs")
    with probes.refused("logs, to a request without a token", HTTPError, "401"):
        read(f"{PROJECT}/jobs", token="")
    with probes.refused("logs, to a token for the API server", HTTPError, "401"):
        read(f"{PROJECT}/jobs", Path("/var/run/secrets/kubernetes.io/serviceaccount/token").read_text())
    with probes.refused("the headers of a login, to a caller that is not the gateway", HTTPError, "401"):
        headers = {"X-Platform-Proxy": "wrong", "X-Forwarded-User": "ann", "X-Forwarded-Groups": "viewers"}
        urlopen(Request(URL, headers=headers), timeout=20)  # noqa: S310 - our own Service
    with probes.refused("a path out of the project", HTTPError, "400", "404"):
        read(f"{PROJECT}/jobs/..%2fother")


def write(_: Probes) -> None:
    start(LONG, COUNTING)


def after(probes: Probes) -> None:
    with probes.works("each line of a job once, after the collector was deleted while it ran"):
        expected = "".join(f"line {i}\n" for i in range(LINES))
        assert text_of(LONG) == expected, text_of(LONG)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": after}[act](running)
    running.end()
