"""Print what a project has in MLflow: experiments, models, and files where its artifacts were."""

from __future__ import annotations

import json
import os
import sys

import mlflow
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

client = mlflow.MlflowClient()
place = f"mlflow-artifacts:/workspaces/{os.environ['PROJECT']}/{os.environ['PLACE']}"
left = {
    "experiments": sorted(each.name for each in client.search_experiments()),
    "models": [each.name for each in client.search_registered_models()],
    "files": [each.path for each in get_artifact_repository(place).list_artifacts()],
}
sys.stdout.write(f"\n{json.dumps(left)}\n")
