"""Smoke test of Katib: an Experiment finds its best trial, wrong ones are refused, so are strangers."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create, delete, get, items, pod_spec
from experiments import API, EXPERIMENT, SLOW, check_best, experiment, start, wait
from probes import Probes, patiently

# An attacker's pod: it reads and deletes the log of a trial, and reports about one that is not in its
# project. It ends with 0 only if each call is refused for its own reason: not because the pod is unknown.
ATTACK = """
import sys
import grpc

channel = grpc.insecure_channel("katib-db-manager.katib:6789")
trial = b"\\n" + bytes([len(sys.argv[1])]) + sys.argv[1].encode()
other = b"\\n\\x0bno-trial-at"
reads, reports = "only reports are accepted", "has no Trial"
for method, message, reason in (("Get", trial, reads), ("Delete", trial, reads), ("Report", other, reports)):
    path = f"/api.v1.beta1.DBManager/{method}ObservationLog"
    try:
        answer = channel.unary_unary(path)(message, timeout=30)
        sys.exit(f"{method}: {answer}")
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.PERMISSION_DENIED or reason not in error.details():
            sys.exit(f"{method}: {error}")
"""


class OpenError(Exception):
    """The database answered a pod of a project."""


def phase(name: str) -> str:
    found: str = get("v1", "pods", name)["status"]["phase"]
    if found not in ("Succeeded", "Failed"):
        raise NotYetError(f"pod {name} is {found}")
    return found


def attack(trial: str) -> None:
    pod = {**pod_spec("main", "python3", "-c", ATTACK, trial), "restartPolicy": "Never"}
    create("v1", "pods", {"kind": "Pod", "metadata": {"name": "attacker"}, "spec": pod})
    if patiently(lambda: phase("attacker"), NotYetError) != "Succeeded":
        raise OpenError(str(get("v1", "pods", "attacker")["status"]))
    delete("v1", "pods", "attacker")


def gone(name: str) -> None:
    if items(API, "trials", f"{EXPERIMENT}={name}"):
        raise NotYetError(f"trials of {name} are left")


def wrong(name: str, **more: Any) -> None:
    create(API, "experiments", experiment(name, **more))


def probe(probes: Probes) -> None:
    start(experiment("one"))
    with probes.refused("a parameter with its minimum above its maximum", Refused, "min is above max"):
        space = {"min": "2", "max": "1"}
        wrong("wrong", parameters=[{"name": "x", "parameterType": "double", "feasibleSpace": space}])
    with probes.refused("early stopping, which has no program here", Refused, "spec.earlyStopping"):
        wrong("early", earlyStopping={"algorithmName": "medianstop"})
    with probes.refused("an unknown algorithm", Refused, "hyperband"):
        wrong("unknown", algorithm="hyperband")
    with probes.refused("Trials, to a member", Refused, "403"):
        create(API, "trials", {"kind": "Trial", "metadata": {"name": "one"}, "spec": {}})
    with probes.works("an Experiment finds its best trial"):
        check_best(wait("one"))
    with probes.works("the database refuses other callers than collectors of the project"):
        attack(items(API, "trials", f"{EXPERIMENT}=one")[0]["metadata"]["name"])
    with probes.works("an Experiment is deleted with its trials"):
        delete(API, "experiments", "one")
        patiently(lambda: gone("one"), NotYetError)


def write(_: Probes) -> None:
    """An Experiment that still runs when the pods are deleted."""
    start(experiment("killed", program=SLOW, maxTrialCount=6))


def read(probes: Probes) -> None:
    with probes.works("an Experiment goes on with the new controller and the new database manager"):
        check_best(wait("killed"))
        delete(API, "experiments", "killed")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
