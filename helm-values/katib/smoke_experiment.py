"""Smoke test of Katib, the long one: each algorithm, collectors, trials that fail or wait for quota."""

from __future__ import annotations

import time

from apiserver import NotYetError, Object, Refused, create, delete, get, items, pod_spec
from experiments import API, EXPERIMENT, PROGRAM, SLOW, check_best, command, experiment, start, template, wait
from probes import Probes, patiently

ALGORITHMS = ("tpe", "cmaes", "sobol", "grid", "bayesianoptimization")
_MOST_SECONDS = 90.0  # of six trials, two at once
FILE = """
import json, os, sys
x, y = map(float, sys.argv[1:])
os.makedirs("/metrics", exist_ok=True)
with open("/metrics/metrics.json", "w") as file:
    file.write(json.dumps({"loss": str((x - 3) ** 2 + (y + 1) ** 2)}) + chr(10))
"""
# The trial reports its metric itself, in the encoding of protocol buffers.
PUSH = """
import os, sys, grpc
x, y = map(float, sys.argv[1:])
def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data
metric = field(1, b"loss") + field(2, repr((x - 3) ** 2 + (y + 1) ** 2).encode())
log = field(1, b"2026-11-30T00:00:00Z") + field(2, metric)
report = field(1, os.environ["KATIB_TRIAL_NAME"].encode()) + field(2, field(1, log))
channel = grpc.insecure_channel("katib-db-manager.katib:6789")
channel.unary_unary("/api.v1.beta1.DBManager/ReportObservationLog")(report, timeout=30)
"""
_SCREEN_SECONDS = 30.0  # until a reason is there for `experiment list`
_SOURCE = {"fileSystemPath": {"path": "/metrics/metrics.json", "kind": "File", "format": "JSON"}}


def trial_of(name: str) -> None:
    if not items(API, "trials", f"{EXPERIMENT}={name}"):
        raise NotYetError(f"{name} has no trial")


def over_quota(name: str) -> Object:
    pod = {
        **pod_spec("main", *command(PROGRAM), resources={"requests": {"cpu": "1k"}}),
        "restartPolicy": "Never",
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    return experiment(name, trialTemplate=template("main", job))


def quota_warning(name: str) -> None:
    """A warning about an object of the experiment, from which `experiment list` has its reason."""
    found = [each for each in items("v1", "events") if each["involvedObject"]["name"].startswith(f"{name}-")]
    if not any(each["type"] == "Warning" and "exceeded quota" in each["message"] for each in found):
        raise NotYetError(f"no warning about the quota in {[each['message'] for each in found]}")


def main() -> None:
    probes = Probes()
    with probes.works(f"six trials, two at once, end within {_MOST_SECONDS:.0f} s"):
        began = time.monotonic()
        start(experiment("six", maxTrialCount=6))
        check_best(wait("six"))
        assert time.monotonic() - began < _MOST_SECONDS, time.monotonic() - began
        delete(API, "experiments", "six")
    for algorithm in ALGORITHMS:
        with probes.works(f"{algorithm} finds its best trial"):
            start(experiment(algorithm, algorithm, maxTrialCount=4))
            check_best(wait(algorithm))
            delete(API, "experiments", algorithm)
    with probes.works("a trial writes its metrics into a file"):
        collector = {"collector": {"kind": "File"}, "source": _SOURCE}
        start(experiment("file", program=FILE, metricsCollectorSpec=collector))
        check_best(wait("file"))
        delete(API, "experiments", "file")
    with probes.works("a trial reports its metric itself"):
        start(experiment("push", program=PUSH, metricsCollectorSpec={"collector": {"kind": "Push"}}))
        check_best(wait("push"))
        delete(API, "experiments", "push")
    with probes.works("an Experiment goes on after the pod of its search was deleted"):
        start(experiment("search", program=SLOW, maxTrialCount=4))
        patiently(lambda: trial_of("search"), NotYetError)
        (pod,) = items("v1", "pods", "katib.kubeflow.org/deployment=search-random")
        delete("v1", "pods", pod["metadata"]["name"])
        check_best(wait("search"))
        delete(API, "experiments", "search")
    with probes.works(f"a trial over the quota says so within {_SCREEN_SECONDS:.0f} s"):
        began = time.monotonic()
        start(over_quota("quota"))
        patiently(lambda: quota_warning("quota"), NotYetError)
        assert time.monotonic() - began < _SCREEN_SECONDS, time.monotonic() - began
        delete(API, "experiments", "quota")
    with probes.works("an Experiment whose trials fail is Failed, and their pods are there to read"):
        start(experiment("fails", program="raise SystemExit('wrong')"))
        wait("fails", "Failed")
        assert items("v1", "pods", f"{EXPERIMENT}=fails,katib.kubeflow.org/trial"), "no pods of trials"
        delete(API, "experiments", "fails")
    with probes.works("an Experiment with more trials than its grid has points is Failed, with the reason"):
        start(experiment("points", "grid", maxTrialCount=26))
        wait("points", "Failed")
        search = get(API, "suggestions", "points")
        assert "25 points" in str(search["status"]["conditions"]), search["status"]
        delete(API, "experiments", "points")
    with probes.refused("a trial of a kind that the controller would make for a member", Refused, "TrainJob"):
        pod = pod_spec("main", "python3", "-c", PROGRAM)
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": pod}}}
        manifest = experiment("kind", trialTemplate=template("main", deployment))
        create(API, "experiments", manifest)
    probes.end()


if __name__ == "__main__":
    main()
