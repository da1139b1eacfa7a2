"""Smoke test of pipelines: artifacts, a loop, a condition, a step that fails; what the run has in MLflow.

The Jobs are as `mlops-platform pipeline run` makes them, without its checks.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import mlflow
from apiserver import PROJECT, NotYetError, Object, Refused, create, get
from probes import Probes, patiently

FOLDER = Path(__file__).parent
FILES = ("pipeline.py", "pipeline_steps.py", "smoke_pipeline.yaml")
TOKENS = "/var/run/secrets/tokens"


def job(name: str) -> Object:
    """The Job of a run, in the project."""
    tokens = {"name": "tokens", "mountPath": TOKENS, "readOnly": True}
    mounts = [
        {"name": "files", "mountPath": "/scripts", "readOnly": True},
        {"name": "files", "mountPath": "/files", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - in the pod
        tokens,
    ]
    container = {
        "name": "script",
        "image": os.environ["IMAGE"],
        "command": ["python3", "/scripts/pipeline.py"],
        "env": [{"name": "JOB", "value": name}, {"name": "HOME", "value": "/tmp"}],  # noqa: S108
        "envFrom": [{"configMapRef": {"name": "platform"}}],
        "resources": {"requests": {"cpu": "50m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001}
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": "trainer",
        "automountServiceAccountToken": False,
        "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "files", "configMap": {"name": name}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "tokens", "projected": json.loads(os.environ["SOURCES"])},
        ],
    }
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def run(name: str, arguments: dict[str, float], ends: str) -> None:
    """Run the pipeline, and wait until its Job is Complete or Failed."""
    data = {file: (FOLDER / file).read_text() for file in FILES}
    data |= {"pipeline.yaml": data.pop("smoke_pipeline.yaml"), "arguments.json": json.dumps(arguments)}
    files = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    patiently(lambda: create("v1", "configmaps", files), Refused)
    patiently(lambda: create("batch/v1", "jobs", job(name)), Refused)

    def ended() -> None:
        conditions = get("batch/v1", "jobs", name).get("status", {}).get("conditions") or []
        types = {each["type"] for each in conditions if each["status"] == "True"}
        if not types & {"Complete", "Failed"}:
            raise NotYetError(f"{name}: {sorted(types)}")
        assert ends in types, types

    patiently(ended, NotYetError)


def runs(filter_: str) -> list[Any]:
    found: list[Any] = mlflow.search_runs(
        experiment_names=["smoke-pipeline"], filter_string=filter_, output_format="list"
    )
    return found


def main() -> None:
    probes = Probes()
    mlflow.set_workspace(PROJECT)
    with probes.works("a pipeline with artifacts, a loop and a condition runs to its end"):
        run("good", {"limit": 0.5}, "Complete")
    with probes.works("MLflow has its arguments, metrics, artifacts and states, and the run of a step below"):
        [found] = runs("run_name = 'good'")
        states = {key: value for key, value in found.data.tags.items() if key.startswith("step.")}
        assert found.info.status == "FINISHED", found.info.status
        assert states == {
            "step.rows": "succeeded",
            "step.score.0": "succeeded",
            "step.score.1": "succeeded",
            "step.best": "succeeded",
            "step.announce": "succeeded",
            "step.reject": "skipped",
        }, states
        assert found.data.params == {"limit": "0.5", "rows_of_table": "10"}, found.data.params
        assert found.data.metrics == {"score.0/score": 0.8, "score.1/score": 1.0}, found.data.metrics
        files = [each.path for each in mlflow.MlflowClient().list_artifacts(found.info.run_id, "score.0")]
        assert "score.0/model" in files, files
        [step] = runs(f"tags.`mlflow.parentRunId` = '{found.info.run_id}'")
        assert (step.info.run_name, step.data.metrics) == ("announce", {"published": 1.0}), step
    with probes.works("a pipeline with a step that fails is recorded as failed, with the reason"):
        run("bad", {"rows_of_table": 0}, "Failed")
        [found] = runs("run_name = 'bad'")
        result = mlflow.artifacts.load_dict(f"{found.info.artifact_uri}/pipeline/result.json")
        assert (found.info.status, result["reason"]) == ("FAILED", "step rows: ValueError: no rows"), result
    with probes.refused("the account of the test reads the workspace of others", Exception, "PERMISSION"):
        mlflow.set_workspace("default")
        mlflow.search_experiments()
    probes.end()


if __name__ == "__main__":
    main()
