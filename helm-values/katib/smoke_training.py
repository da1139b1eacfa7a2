"""Smoke test of Katib: trials as TrainJobs, and the best of them in the project's MLflow."""

from __future__ import annotations

from apiserver import NotYetError, get, require_condition
from experiments import PROGRAM, check_best, command, experiment, start, template, wait
from probes import Probes, patiently


def main() -> None:
    probes = Probes()
    trainer = {"numNodes": 1, "command": command(PROGRAM)}
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer},
    }
    with probes.works("an Experiment whose trials are TrainJobs finds its best trial"):
        start(experiment("train", trialTemplate=template("node", job)))
        check_best(wait("train"))
    with probes.works("the best trial is logged to MLflow"):
        best = "train-best"

        def logged() -> None:
            require_condition(get("batch/v1", "jobs", best), "Complete")

        patiently(logged, NotYetError)
    probes.end()


if __name__ == "__main__":
    main()
