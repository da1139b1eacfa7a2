"""Read a run, its file, trace and model by the ids of another client; print them, `no` for what is denied."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

ids = json.loads(Path("/files/ids.json").read_text())
client = mlflow.MlflowClient()


def attempt(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (MlflowException, OSError):
        return "no"


def file() -> str:
    return Path(client.download_artifacts(ids["run"], "d/secret.txt")).read_text()


def predicted() -> list[int]:
    model = mlflow.sklearn.load_model("models:/clf-default/1")
    return [int(label) for label in model.predict([[0.0], [3.0]])]


def where() -> str:
    # With both slashes: the id of a run may end with the same digit.
    return str(client.get_run(ids["run"]).info.artifact_uri).partition(f"/{ids['exp']}/")[0]


def versions() -> Any:
    return [each.version for each in client.search_model_versions("name='clf-default'")] or "no"


found = {
    "run": attempt(lambda: client.get_run(ids["run"]).data.params),
    "file": attempt(file),
    "trace": attempt(lambda: bool(client.get_trace(ids["trace"]).data.spans)),
    "predicted": attempt(predicted),
    "versions": attempt(versions),
    "where": attempt(where),
}
sys.stdout.write(f"\n{json.dumps(found)}\n")
