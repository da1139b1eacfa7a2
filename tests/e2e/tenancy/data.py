"""Log a run, an artifact, a model and a trace with MLflow's client; print their ids as JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

project = os.environ["PROJECT"]
client = mlflow.MlflowClient()
experiment = mlflow.set_experiment("work")
inputs, labels = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
with mlflow.start_run(run_name=f"run of {project}") as run, tempfile.TemporaryDirectory() as folder:
    mlflow.log_param("project", project)
    mlflow.log_metric("m", 1.5)
    secret = Path(folder, "secret.txt")
    secret.write_text(f"secret of {project}")
    mlflow.log_artifact(str(secret), "d")
    logged = mlflow.sklearn.log_model(
        LogisticRegression().fit(inputs, labels),
        name="clf",
        signature=infer_signature(inputs, labels),
        pip_requirements=[],
        registered_model_name=f"clf-{project}",
    )


@mlflow.trace
def greet(name: str) -> str:
    return name + project


greet("hello")
mlflow.flush_trace_async_logging()
(trace,) = mlflow.search_traces(return_type="list")
# The client itself gives back what it has sent.
loaded = mlflow.sklearn.load_model(f"models:/clf-{project}/1")
assert list(loaded.predict(inputs)) == labels
assert len(mlflow.search_runs(experiment_names=["work"])) == 1
ids = {
    "run": run.info.run_id,
    "exp": experiment.experiment_id,
    "model": logged.model_id,
    "trace": trace.info.trace_id,
    "source": client.get_model_version(f"clf-{project}", "1").source,
    "file": f"{experiment.experiment_id}/{run.info.run_id}/artifacts/d/secret.txt",
}
sys.stdout.write(f"\n{json.dumps(ids)}\n")
