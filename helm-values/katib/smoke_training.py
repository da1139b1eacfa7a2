"""Smoke test of Katib: trials as TrainJobs, and the best of them in the project's MLflow."""

from __future__ import annotations

import json

from apiserver import NotYetError, Object, Refused, create, get, require_condition
from experiments import PROGRAM, check_best, command, experiment, start, template, wait
from probes import Probes, patiently

TRAINJOBS = "trainer.kubeflow.org/v1alpha1"
# In a pod of the project, with its MLflow: the run of the best trial has its parameters and its metric.
LOGGED = """
import json, sys, mlflow
trial, parameters, loss = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3])
(run,) = mlflow.search_runs(
    experiment_names=["train"], filter_string=f"tags.`katib.trial` = '{trial}'", output_format="list"
)
assert run.info.run_name == "train-best", run
assert run.data.params == parameters, (run.data.params, parameters)
assert abs(run.data.metrics["loss"] - loss) < 1e-6, (run.data.metrics, loss)
"""


def trainjob(*words: str) -> Object:
    trainer = {"numNodes": 1, "command": list(words)}
    return {"kind": "TrainJob", "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer}}


def check_logged(best: Object) -> None:
    """The Job of the companion has ended, and MLflow has the run."""
    trial = best["bestTrialName"]

    def logged() -> None:
        require_condition(get("batch/v1", "jobs", f"{trial}-best"), "Complete")

    patiently(logged, NotYetError, Refused)  # 404 until the companion has made it
    parameters = {each["name"]: each["value"] for each in best["parameterAssignments"]}
    (metric,) = best["observation"]["metrics"]
    words = ("python3", "-c", LOGGED, trial, json.dumps(parameters), metric["min"])
    create(TRAINJOBS, "trainjobs", {"metadata": {"name": "logged"}, **trainjob(*words)})
    patiently(lambda: require_condition(get(TRAINJOBS, "trainjobs", "logged"), "Complete"), NotYetError)


def main() -> None:
    probes = Probes()
    found: Object = {}
    with probes.works("an Experiment whose trials are TrainJobs finds its best trial"):
        job = {"apiVersion": TRAINJOBS, **trainjob(*command(PROGRAM))}
        start(experiment("train", trialTemplate=template("node", job)))
        found = wait("train")
        check_best(found)
    with probes.works("the best trial is in MLflow, with parameters and metric"):
        check_logged(found["status"]["currentOptimalTrial"])
    probes.end()


if __name__ == "__main__":
    main()
