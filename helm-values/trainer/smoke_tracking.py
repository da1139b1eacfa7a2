"""Smoke test of Trainer: a plain TrainJob logs a run and registers a model in its project's workspace."""

from __future__ import annotations

from apiserver import NotYetError, Refused, create, get, require_condition
from probes import Probes, patiently

API = "trainer.kubeflow.org/v1alpha1"
SCRIPT = """\
import mlflow
from sklearn.linear_model import LogisticRegression

inputs, labels = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
mlflow.set_experiment("smoke")
with mlflow.start_run():
    model = LogisticRegression().fit(inputs, labels)
    mlflow.log_metric("accuracy", model.score(inputs, labels))
    mlflow.sklearn.log_model(model, name="model", registered_model_name="smoke", pip_requirements=[])
assert list(mlflow.sklearn.load_model("models:/smoke/1").predict(inputs)) == labels
"""
# A client that names the workspace of others; the script fails if it gets an answer.
ELSEWHERE = """\
import mlflow

mlflow.set_workspace("default")
try:
    found = mlflow.search_experiments()
except mlflow.MlflowException as error:
    raise SystemExit(0 if "PERMISSION_DENIED" in str(error) else str(error))
raise SystemExit(f"read {found}")
"""


def completes(name: str, script: str) -> None:
    trainer = {"numNodes": 1, "command": ["python3", "-c", script]}
    spec = {"runtimeRef": {"name": "python"}, "trainer": trainer}
    patiently(
        lambda: create(API, "trainjobs", {"kind": "TrainJob", "metadata": {"name": name}, "spec": spec}),
        Refused,
    )
    patiently(lambda: require_condition(get(API, "trainjobs", name), "Complete"), NotYetError)


def main() -> None:
    probes = Probes()
    with probes.works("a TrainJob without further settings logs a run, and registers a model"):
        completes("log", SCRIPT)
    with probes.works("a TrainJob is denied the workspace of others"):
        completes("elsewhere", ELSEWHERE)
    probes.end()


if __name__ == "__main__":
    main()
