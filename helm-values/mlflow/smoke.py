"""Smoke test of MLflow with its own client: daily work succeeds, forbidden requests are rejected.

It works in a workspace of its own, that of MLflow's namespace, and removes it at the end.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import tempfile
from pathlib import Path

import mlflow
import requests
import strangers
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from probes import Probes, patiently
from strangers import WORKSPACE, WORKSPACES, Refused, ask

RUN = os.environ["RUN"]
NAME, KEPT = f"smoke-{RUN}", f"survives-{RUN}"
MIB = 2**20


def payload(size: int) -> bytes:
    return random.Random(RUN).randbytes(size)  # noqa: S311 - bytes that differ from other runs


def probe(probes: Probes) -> None:
    client = MlflowClient()
    _make_workspace()
    try:
        with probes.works("an experiment is created"):
            client.create_experiment(NAME)
        mlflow.set_experiment(NAME)
        _runs(probes, client)
        _artifacts(probes)
        _models(probes, client)
        _traces(probes, client)
        _nonsense(probes, client)
        strangers.callers(probes)
        strangers.workspaces(probes)
        strangers.pages(probes)
    finally:
        _clean(client)


def _runs(probes: Probes, client: MlflowClient) -> None:
    with probes.works("a run keeps its parameters, metrics and tags"):
        with mlflow.start_run(run_name="run") as run:
            mlflow.log_params({"rate": 0.1, "depth": 3})
            for step in range(10):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.set_tag("kind", "probe")
        found = client.get_run(run.info.run_id)
        assert found.data.params == {"rate": "0.1", "depth": "3"}, found.data.params
        assert found.data.tags["kind"] == "probe" and found.info.status == "FINISHED"
        history = [m.value for m in client.get_metric_history(run.info.run_id, "loss")]
        assert sorted(history, reverse=True) == [1 / (s + 1) for s in range(10)], history
    with probes.works("it is found by its metrics"):
        found = mlflow.search_runs(
            experiment_names=[NAME], filter_string="metrics.loss < 0.2 and params.depth = '3'"
        )
        assert list(found["tags.kind"]) == ["probe"], found
    with probes.works("it is not found by other metrics"):
        assert mlflow.search_runs(experiment_names=[NAME], filter_string="metrics.loss > 0.5").empty


def _artifacts(probes: Probes) -> None:
    with (
        probes.works("an artifact of 20 MiB comes back byte for byte"),
        tempfile.TemporaryDirectory() as folder,
    ):
        body = payload(20 * MIB)
        Path(folder, "weights.bin").write_bytes(body)
        with mlflow.start_run(run_name="artifact") as run:
            mlflow.log_artifact(f"{folder}/weights.bin", "model")
        path = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="model/weights.bin", dst_path=f"{folder}/back"
        )
        assert hashlib.sha256(Path(path).read_bytes()).digest() == hashlib.sha256(body).digest()
        assert run.info.artifact_uri.startswith("mlflow-artifacts:"), run.info.artifact_uri


def _models(probes: Probes, client: MlflowClient) -> None:
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    inputs, labels = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    with probes.works("a scikit-learn model is logged"), mlflow.start_run(run_name="model"):
        model = LogisticRegression().fit(inputs, labels)
        mlflow.sklearn.log_model(
            model, name="classifier", signature=infer_signature(inputs, labels), pip_requirements=[]
        )
    with probes.works("it is registered as version 1"):
        logged = mlflow.search_logged_models(
            experiment_ids=[client.get_experiment_by_name(NAME).experiment_id], output_format="list"
        )
        version = mlflow.register_model(logged[0].model_uri, NAME)
        assert str(version.version) == "1", version
    with probes.works("an alias leads to it"):
        client.set_registered_model_alias(NAME, "champion", "1")
        assert str(client.get_model_version_by_alias(NAME, "champion").version) == "1"
    with probes.works("it is found by its name"):
        found = client.search_registered_models(filter_string=f"name = '{NAME}'")
        assert [m.name for m in found] == [NAME], found
    with probes.works("loaded by its alias, it predicts the same"):
        loaded = mlflow.sklearn.load_model(f"models:/{NAME}@champion")
        assert list(loaded.predict(inputs)) == labels


def _traces(probes: Probes, client: MlflowClient) -> None:
    with probes.works("a trace with its spans is found"):
        with mlflow.start_span("outer") as outer:
            outer.set_inputs({"question": "6 × 7"})
            with mlflow.start_span("inner"):
                outer.set_outputs({"answer": 42})
        mlflow.flush_trace_async_logging()
        found = client.search_traces(
            locations=[client.get_experiment_by_name(NAME).experiment_id], max_results=5
        )
        assert {s.name for t in found for s in t.data.spans} == {"outer", "inner"}, found


def _nonsense(probes: Probes, client: MlflowClient) -> None:
    """Requests of the client that the server must reject."""
    with probes.refused("a second experiment of the same name", MlflowException, "RESOURCE_ALREADY_EXISTS"):
        client.create_experiment(NAME)
    with probes.refused("an unknown run", MlflowException, "not found"):
        client.get_run("0" * 32)
    run = client.create_run(client.get_experiment_by_name(NAME).experiment_id)
    with probes.refused(
        "another value for a parameter that was logged", MlflowException, "INVALID_PARAMETER"
    ):
        client.log_param(run.info.run_id, "depth", 1)
        client.log_param(run.info.run_id, "depth", 2)


def _make_workspace() -> None:
    """Create the workspace; one of a run that was killed is used again."""
    try:
        ask("POST", WORKSPACES, json={"name": WORKSPACE})
    except Refused as refused:
        if "RESOURCE_ALREADY_EXISTS" not in str(refused):
            raise


def _clean(client: MlflowClient) -> None:
    """Remove the workspace with the test's data, also of killed runs."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    for experiment in client.search_experiments():
        get_artifact_repository(experiment.artifact_location).delete_artifacts()
    ask("DELETE", f"{WORKSPACES}/{WORKSPACE}?mode=CASCADE")


def write(probes: Probes) -> None:
    with probes.works("a run and its artifact are acknowledged, then the pod is deleted"):
        _make_workspace()
        MlflowClient().create_experiment(KEPT)
        mlflow.set_experiment(KEPT)
        with mlflow.start_run():
            mlflow.log_metric("kept", 42)
            mlflow.log_text(RUN, "kept.txt")


def read(probes: Probes) -> None:
    client = MlflowClient()
    try:
        with probes.works("data survives the deletion of the pod"):
            experiment = client.get_experiment_by_name(KEPT)
            (run,) = client.search_runs([experiment.experiment_id])
            assert run.data.metrics == {"kept": 42}, run.data.metrics
            assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/kept.txt") == RUN
    finally:
        _clean(client)


if __name__ == "__main__":
    running = Probes()
    patiently(lambda: ask("GET", "health"), requests.RequestException, Refused)
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
