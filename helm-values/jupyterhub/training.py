"""Smoke test of training from a notebook: TrainerClient starts a function as a job, which completes."""

from __future__ import annotations

import sys

from browsing import Browser
from probes import Probes, patiently
from sessions import MEMBER, Notebook, NotYetError, people, started

_TRAIN = """
from kubeflow.trainer import CustomTrainer, TrainerClient

def fit():
    import mlflow

    mlflow.set_experiment("fit")
    with mlflow.start_run(run_name="fit"):
        mlflow.log_metric("m", 2.0)
    print("trained")

client = TrainerClient()
job = client.train(runtime="python", trainer=CustomTrainer(func=fit))
"""
_STATUS = "print(client.get_job(job).status)"
_RESULT = """
import mlflow
print(*client.get_job_logs(job), mlflow.search_runs(experiment_names=["fit"])["metrics.m"].tolist())
"""
_CHANGE = """
client.backend.custom_api.delete_cluster_custom_object(
    "trainer.kubeflow.org", "v1alpha1", "clustertrainingruntimes", "python")
"""


def require_complete(mine: Notebook, kernel: str) -> None:
    status = mine.run(kernel, _STATUS).strip()
    assert status != "Failed", mine.run(kernel, "print(*client.get_job_logs(job))")
    if status != "Complete":
        raise NotYetError(status)


def probe(probes: Probes) -> None:
    known = people()
    if not known:  # another issuer: the test cannot log in
        return
    with started(probes, known[MEMBER], Browser()) as running:
        if not running:
            return
        mine, kernel = running
        with probes.works("a function of a cell runs as a training job, and logs to MLflow"):
            mine.run(kernel, _TRAIN)
            patiently(lambda: require_complete(mine, kernel), NotYetError)
            seen = mine.run(kernel, _RESULT)
            assert "trained" in seen and "[2.0]" in seen, seen
        with probes.refused("a change of a runtime of all projects, to a cell", AssertionError, "Forbidden"):
            mine.run(kernel, _CHANGE)


if __name__ == "__main__":
    checks = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](checks)
    checks.end()
