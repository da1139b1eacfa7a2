"""Smoke test of the last runs on the home page: a run that is logged in the project is on it for a member."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import urllib3
from apiserver import PROJECT
from browser import Refused
from probes import Probes, patiently
from smoke import ADMINISTRATOR, HOME, MEMBER, NotYetError, browser, enter, people

_TABLE: dict[str, Any] = json.loads(Path(__file__).with_name("catalogue.json").read_text())
_RUN = f"smoke-{os.environ['RUN']}"


def log(path: str, **body: object) -> Any:
    """Write to the tracking server, as this account, in the workspace of the project. Raises Refused."""
    headers = {
        "Authorization": f"Bearer {Path('/run/secrets/token/token').read_text()}",
        "X-MLFLOW-WORKSPACE": PROJECT,
    }
    address = f"{_TABLE['runs']['api']}{path}"
    answer = urllib3.request("POST", address, json=body, headers=headers, retries=False, timeout=30)
    if answer.status != 200:
        raise Refused(f"{answer.status} {answer.data[:200].decode()}")
    return answer.json()


def shown(who: Any) -> None:
    """Raise NotYetError unless the page has the run."""
    seen = who.must(f"{HOME}/v1/projects/{PROJECT}").json["lists"][0]
    if [(each["name"], each["state"]) for each in seen["rows"]] != [(_RUN, "running")]:
        raise NotYetError(str(seen))


def probe(probes: Probes) -> None:
    known = people()
    if not known:
        return
    with probes.works("a run that is logged is on the page of a member"):
        experiment = patiently(lambda: log("/experiments/create", name=_RUN), Refused)["experiment_id"]
        log("/runs/create", experiment_id=experiment, run_name=_RUN)
        member = browser()
        enter(member, known[MEMBER])
        patiently(lambda: shown(member), NotYetError, Refused)
    with probes.refused("the runs, for a person who is no member", Refused, "403"):
        stranger = browser()
        enter(stranger, known[ADMINISTRATOR])
        stranger.must(f"{HOME}/v1/projects/{PROJECT}")


if __name__ == "__main__":
    running = Probes()
    probe(running)
    running.end()
