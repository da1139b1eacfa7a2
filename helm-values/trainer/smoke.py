"""Smoke test of Trainer: a TrainJob completes; the webhook refuses one with an unknown runtime."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, call, create, delete, get, items, path_of, require_condition
from probes import Probes, patiently

API = "trainer.kubeflow.org/v1alpha1"
RUNTIME = "python"


def trainjob(name: str, runtime: str = RUNTIME) -> dict[str, Any]:
    command = ["python3", "-c", "print('trained')"]
    trainer = {"numNodes": 1, "command": command}
    return {
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": runtime}, "trainer": trainer},
    }


def completes(probes: Probes, name: str) -> None:
    with probes.works(f"a TrainJob on the runtime {RUNTIME} completes"):
        # The webhooks of a pod that has just started may not be at every node's rules yet.
        patiently(lambda: create(API, "trainjobs", trainjob(name)), Refused)
        patiently(lambda: require_condition(get(API, "trainjobs", name), "Complete"), NotYetError)
        delete(API, "trainjobs", name)


def probe(probes: Probes) -> None:
    completes(probes, "one")
    with probes.refused("a TrainJob on a runtime that does not exist", Refused, "denied the request"):
        create(API, "trainjobs", trainjob("wrong", runtime="missing"))
    with probes.refused("a runtime for all projects, from a project", Refused, "403"):
        call("DELETE", path_of(API, "clustertrainingruntimes", RUNTIME, namespace=""))
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    completes(probes, "again")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
