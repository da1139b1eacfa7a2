"""Experiments for the smoke tests of Katib: a function of two parameters, with its minimum at (3, -1)."""

from __future__ import annotations

from typing import Any

from apiserver import NotYetError, Object, Refused, create, get, items, pod_spec, require_condition
from probes import patiently

API = "kubeflow.org/v1beta1"
EXPERIMENT = "katib.kubeflow.org/experiment"
PROGRAM = "import sys; x, y = map(float, sys.argv[1:]); print(f'loss={(x - 3) ** 2 + (y + 1) ** 2:.9f}')"
SLOW = PROGRAM.replace("import sys;", "import sys, time; time.sleep(5);")


def experiment(name: str, algorithm: str = "random", program: str = PROGRAM, **more: Any) -> Object:
    """An Experiment with two trials at once, whose trials are Jobs."""
    return {"kind": "Experiment", "metadata": {"name": name}, "spec": {**_spec(algorithm, program), **more}}


def _spec(algorithm: str, program: str) -> Object:
    space = {"min": "-8", "max": "8", "step": "4"}  # the step is for a grid
    pod = {**pod_spec("main", *command(program)), "restartPolicy": "Never"}
    return {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": algorithm},
        "maxTrialCount": 2,
        "parallelTrialCount": 2,
        "maxFailedTrialCount": 0,
        "parameters": [
            {"name": name, "parameterType": "double", "feasibleSpace": space} for name in ("x", "y")
        ],
        "trialTemplate": template(
            "main",
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "spec": {"backoffLimit": 0, "template": {"spec": pod}},
            },
        ),
    }


def command(program: str) -> list[str]:
    return ["python3", "-c", program, "${trialParameters.x}", "${trialParameters.y}"]


def template(container: str, job: Object) -> Object:
    """A trial template for the parameters x and y."""
    return {
        "primaryContainerName": container,
        "trialParameters": [{"name": name, "reference": name} for name in ("x", "y")],
        "trialSpec": job,
    }


def start(manifest: Object) -> str:
    # The webhooks of a pod that has just started may not be at every node's rules yet.
    patiently(lambda: create(API, "experiments", manifest), Refused)
    name: str = manifest["metadata"]["name"]
    return name


def wait(name: str, condition: str = "Succeeded") -> Object:
    """The Experiment with this condition."""
    patiently(lambda: require_condition(get(API, "experiments", name), condition), NotYetError)
    return get(API, "experiments", name)


def check_best(found: Object) -> None:
    """The reported optimum is the least of all trials, each computed again. Two trials may be equal."""
    name = found["metadata"]["name"]
    computed = {}
    for each in items(API, "trials", f"{EXPERIMENT}={name}"):
        values = {a["name"]: float(a["value"]) for a in each["spec"]["parameterAssignments"]}
        computed[each["metadata"]["name"]] = (values["x"] - 3) ** 2 + (values["y"] + 1) ** 2
    best = found["status"]["currentOptimalTrial"]
    assert computed[best["bestTrialName"]] == min(computed.values()), (best, computed)
    (metric,) = best["observation"]["metrics"]
    assert abs(float(metric["min"]) - min(computed.values())) < 1e-6, (best, computed)
    assert len(computed) == found["spec"]["maxTrialCount"], computed
