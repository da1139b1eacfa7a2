"""What the tasks use of their project: data, MLflow, TrainJobs and served models, by HTTP.

A task runs as the account `airflow` of the project. Its pod has the addresses in environment variables, and
tokens in /var/run/secrets. This file is yours: change it as you need.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import requests

PROJECT = os.environ.get("PROJECT", "")
TRAINJOBS = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{PROJECT}/trainjobs"
MODELS = f"/apis/serving.kserve.io/v1beta1/namespaces/{PROJECT}/inferenceservices"
PODS = f"/api/v1/namespaces/{PROJECT}/pods"
EXPERIMENT = "golden-path"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS, RESTART_SECONDS = 600, 120


def digest(data: str, parameters: dict[str, Any], script: str) -> str:
    text = json.dumps([data, parameters, script], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# Data


def read_data(key: str, sample: Path) -> str:
    """The file of the project's data; the sample is put there if it is missing."""
    store = boto3.client("s3")
    bucket, _, prefix = f"{os.environ['DATA_URI']}/".removeprefix("s3://").partition("/")
    try:
        return store.get_object(Bucket=bucket, Key=prefix + key)["Body"].read().decode()
    except store.exceptions.NoSuchKey:
        store.put_object(Bucket=bucket, Key=prefix + key, Body=sample.read_bytes())
        return sample.read_text()


# Kubernetes


def kubernetes(method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
    """Send a request to the API server. None for 404 (not there) and 409 (there already).

    For some seconds after a restart, an API server or the webhook of a controller answers with 5xx.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]

    def answered() -> tuple[requests.Response]:
        answer = requests.request(
            method,
            f"https://{host}:{port}{path}",
            data=None if body is None else json.dumps(body),
            headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": kind},
            verify=str(ACCOUNT / "ca.crt"),
            timeout=30,
        )
        if answer.status_code == 429 or answer.status_code >= 500:
            raise NotYetError(f"{answer.status_code} {answer.text[:500]}")
        return (answer,)

    (answer,) = wait(f"{method} {path}", answered, RESTART_SECONDS)
    if answer.status_code in (404, 409):
        return None
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
    return answer.json()


def wait(what: str, ready: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Call `ready` until it returns something; TimeoutError with the text of the last NotYetError."""
    until, why = time.monotonic() + seconds, ""
    while time.monotonic() < until:
        try:
            if found := ready():
                return found
        except NotYetError as error:
            why = str(error)
        time.sleep(1)
    raise TimeoutError(f"{what}: {why or 'not ready'} after {seconds} s")


class NotYetError(Exception):
    pass


def conditions(found: Any) -> dict[str, dict[str, str]]:
    return {each["type"]: each for each in found.get("status", {}).get("conditions", [])}


# Training


def train(name: str, script: str, data: str, inputs: str, parameters: dict[str, Any]) -> None:
    """Run a script as a TrainJob, and wait until it is complete. One that has ended is replaced."""
    env = {"DATA": data, "INPUTS": inputs, "PARAMETERS": json.dumps(parameters)}
    trainer = {
        "numNodes": 1,
        "command": ["python3", "-c", script],
        "env": [{"name": key, "value": value} for key, value in env.items()],
    }
    job = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer},
    }
    found = kubernetes("GET", f"{TRAINJOBS}/{name}")
    if found and {"Complete", "Failed"} & conditions(found).keys():
        kubernetes("DELETE", f"{TRAINJOBS}/{name}?propagationPolicy=Foreground")
        wait(f"end of TrainJob {name}", lambda: kubernetes("GET", f"{TRAINJOBS}/{name}") is None)
    kubernetes("POST", TRAINJOBS, job)

    def complete() -> bool:
        seen = conditions(kubernetes("GET", f"{TRAINJOBS}/{name}") or {})
        if seen.get("Failed", {}).get("status") == "True":
            raise RuntimeError(
                f"TrainJob {name}: {seen['Failed'].get('message')}: see its log in pod {name}-node-0-0"
            )
        return seen.get("Complete", {}).get("status") == "True"

    wait(f"TrainJob {name}", complete)


# MLflow: the workspace is the project's


def mlflow(method: str, where: str, **body: Any) -> Any:
    """Send a request to MLflow's REST API. None: there is no such thing."""
    token = Path(os.environ["PLATFORM_MLFLOW_TOKEN"]).read_text().strip()
    part = {"params": body} if method == "GET" else {"json": body}
    answer = requests.request(
        method,
        os.environ["MLFLOW_TRACKING_URI"] + where,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        **part,
    )
    if answer.status_code == 404:
        return None
    if answer.status_code >= 400:
        raise RuntimeError(f"{method} {where}: {answer.status_code} {answer.text[:500]}")
    return answer.json()


API = "/api/2.0/mlflow"


def run_of(inputs: str) -> str:
    """The finished run of these inputs, or ''."""
    found = mlflow("GET", f"{API}/experiments/get-by-name", experiment_name=EXPERIMENT)
    if not found:
        return ""
    runs = mlflow(
        "POST",
        f"{API}/runs/search",
        experiment_ids=[found["experiment"]["experiment_id"]],
        filter=f"tags.inputs = '{inputs}' and attributes.status = 'FINISHED'",
        max_results=1,
    ).get("runs", [])
    return runs[0]["info"]["run_id"] if runs else ""


def metric(run: str, name: str) -> float:
    data = mlflow("GET", f"{API}/runs/get", run_id=run)["run"]["data"]
    return float(next(each["value"] for each in data["metrics"] if each["key"] == name))


def questions(run: str) -> dict[str, Any]:
    """Rows and predictions that the training has logged."""
    found: dict[str, Any] = mlflow("GET", "/get-artifact", run_uuid=run, path="questions.json")
    return found


def production(model: str) -> dict[str, str] | None:
    """Version, run and inputs of the version with the alias `production`."""
    found = mlflow("GET", f"{API}/registered-models/get", name=model)
    # Not by `registered-models/alias`: MLflow answers 400 for an alias that a model does not have.
    aliases = found["registered_model"].get("aliases", []) if found else []
    number = next((each["version"] for each in aliases if each["alias"] == "production"), "")
    if not number:
        return None
    version = mlflow("GET", f"{API}/model-versions/get", name=model, version=number)["model_version"]
    tags = {each["key"]: each["value"] for each in version.get("tags", [])}
    return {"version": version["version"], "run": version["run_id"], "inputs": tags.get("inputs", "")}


def versions(model: str, inputs: str) -> Iterator[str]:
    query = f"name = '{model}' and tags.inputs = '{inputs}'"
    found = mlflow("GET", f"{API}/model-versions/search", filter=query)
    yield from (each["version"] for each in found.get("model_versions", []))


def register(model: str, run: str, inputs: str) -> str:
    """The version of these inputs: the existing one, or a new one."""
    for version in versions(model, inputs):
        return version
    if mlflow("GET", f"{API}/registered-models/get", name=model) is None:
        mlflow("POST", f"{API}/registered-models/create", name=model)
    outputs = mlflow("GET", f"{API}/runs/get", run_id=run)["run"]["outputs"]["model_outputs"]
    logged = outputs[0]["model_id"]
    made = mlflow(
        "POST",
        f"{API}/model-versions/create",
        name=model,
        source=f"models:/{logged}",
        run_id=run,
        model_id=logged,
        tags=[
            {"key": "inputs", "value": inputs}
        ],  # with the version in one request: no version is without it
    )
    return str(made["model_version"]["version"])


def put_into_production(model: str, version: str) -> None:
    mlflow("POST", f"{API}/registered-models/alias", name=model, alias="production", version=version)


# Served models


def serve(name: str, version: str) -> None:
    """Serve a version of the registered model of this name, and wait until no pod has another one."""
    uri = f"mlflow://{name}/{version}"
    notes = {"mlops-platform/model": name, "mlops-platform/model-version": version}
    model = {"modelFormat": {"name": "mlflow"}, "protocolVersion": "v2", "storageUri": uri}
    wanted = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": notes, "labels": {"mlops-platform/model": name}},
        "spec": {
            "predictor": {
                "serviceAccountName": "server",
                "minReplicas": 1,
                "model": model,
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
            }
        },
    }
    written = kubernetes("POST", MODELS, wanted) or kubernetes(
        "PATCH", f"{MODELS}/{name}", wanted, "application/merge-patch+json"
    )
    if not written:
        raise RuntimeError("this platform serves no models: the API server has no InferenceServices")

    def ready() -> bool:
        found = kubernetes("GET", f"{MODELS}/{name}") or {}
        failure = found.get("status", {}).get("modelStatus", {}).get("lastFailureInfo", {}).get("message")
        pods = kubernetes("GET", f"{PODS}?labelSelector=serving.kserve.io/inferenceservice={name}")["items"]
        wrong = [
            pod["metadata"]["name"]
            for pod in pods
            if f'"{uri}"' not in json.dumps(pod["spec"]) or not is_ready(pod)
        ]
        if wrong or not pods:
            raise NotYetError(failure or f"pods {', '.join(wrong) or 'are missing'}")
        return conditions(found).get("Ready", {}).get("status") == "True"

    wait(f"served model {name}", ready)


def is_ready(pod: Any) -> bool:
    going = "deletionTimestamp" in pod["metadata"]
    return not going and conditions(pod).get("Ready", {}).get("status") == "True"


def predict(name: str, rows: list[list[float]]) -> list[Any]:
    answer = requests.post(
        f"http://{name}-predictor.{PROJECT}.svc/v1/models/{name}:predict",
        json={"instances": rows},
        timeout=60,
    )
    answer.raise_for_status()
    found: list[Any] = answer.json()["predictions"]
    return found
