"""Smoke test of Trainer: TrainJobs complete, fail and end with their JobSets; wrong ones are refused."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from apiserver import NotYetError, Refused, call, create, delete, get, items, path_of, require_condition
from probes import Probes, patiently

API, JOBSETS = "trainer.kubeflow.org/v1alpha1", "jobset.x-k8s.io/v1alpha2"
RUNTIME = "python"


def trainjob(name: str, program: str = "print('trained')", runtime: str = RUNTIME) -> dict[str, Any]:
    trainer = {"numNodes": 1, "command": ["python3", "-c", program]}
    return {
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": runtime}, "trainer": trainer},
    }


def start(name: str, program: str = "print('trained')") -> None:
    # The webhooks of a pod that has just started may not be at every node's rules yet.
    patiently(lambda: create(API, "trainjobs", trainjob(name, program)), Refused)


def wait(name: str, condition: str) -> None:
    patiently(lambda: require_condition(get(API, "trainjobs", name), condition), NotYetError)


def gone(name: str) -> None:
    if any(each["metadata"]["name"] == name for each in items(JOBSETS, "jobsets")):
        raise NotYetError(f"JobSet {name} is still there")


def probe(probes: Probes) -> None:
    start("one")
    start("wrong", "raise SystemExit('wrong')")
    with probes.works("a TrainJob whose program fails is Failed"):
        wait("wrong", "Failed")
    with probes.works(f"a TrainJob on the runtime {RUNTIME} completes"):
        wait("one", "Complete")
    with probes.refused("the JobSet of a TrainJob, to a member", Refused, "403 jobsets.jobset"):
        delete(JOBSETS, "jobsets", "wrong")
    with probes.works("a TrainJob is deleted with its JobSet"):
        for name in ("one", "wrong"):
            delete(API, "trainjobs", name)
            patiently(partial(gone, name), NotYetError)
    with probes.refused("a TrainJob on a runtime that does not exist", Refused, "denied the request"):
        create(API, "trainjobs", trainjob("none", runtime="missing"))
    with probes.refused("a runtime for all projects, from a project", Refused, "403"):
        call("DELETE", path_of(API, "clustertrainingruntimes", RUNTIME, namespace=""))
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    with probes.works("a TrainJob completes with the new controller"):
        start("again")
        wait("again", "Complete")
        delete(API, "trainjobs", "again")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
