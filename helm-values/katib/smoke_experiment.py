"""Smoke test of Katib, the long one: each algorithm, collectors, trials that fail."""

from __future__ import annotations

import time

from apiserver import Refused, create, delete, get, items, pod_spec
from experiments import API, EXPERIMENT, PROGRAM, check_best, experiment, start, template, wait
from probes import Probes

ALGORITHMS = ("tpe", "cmaes", "sobol", "grid", "bayesianoptimization")
_MOST_SECONDS = 90.0  # of six trials, two at once
FILE = """
import json, os, sys
x, y = map(float, sys.argv[1:])
os.makedirs("/metrics", exist_ok=True)
with open("/metrics/metrics.json", "w") as file:
    file.write(json.dumps({"loss": str((x - 3) ** 2 + (y + 1) ** 2)}) + chr(10))
"""
_SOURCE = {"fileSystemPath": {"path": "/metrics/metrics.json", "kind": "File", "format": "JSON"}}


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
    with probes.works("an Experiment whose trials fail is Failed, and their pods are there to read"):
        start(experiment("fails", program="raise SystemExit('wrong')"))
        wait("fails", "Failed")
        assert items("v1", "pods", f"{EXPERIMENT}=fails"), "no pods"
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
