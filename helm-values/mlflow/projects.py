"""Workspaces of projects in MLflow: `sync` creates what is missing, `remove` removes one with all in it.

A workspace that keeps its data stays as it is: without the project's namespace there is no right in it, and a
new project of the same name has its data again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import urllib3
from platform_vault import database_password

SECRETS, PROJECTS = Path("/run/secrets"), Path("/files/projects.json")
_PATH = "/api/3.0/mlflow/workspaces"
_ATTEMPTS = 5
# The pod is new: the rules of its node may not yet let it connect.
_PATIENCE = urllib3.Retry(total=10, backoff_factor=0.5, status_forcelist=(502, 503), allowed_methods=None)
# The rows of a workspace, first those that refer to others. Foreign keys of MLflow 3.17.2 delete what is not
# here; a new key that does not makes a statement fail.
_REMOVE_ROWS = """
CREATE TEMPORARY TABLE gone_experiments ON COMMIT DROP AS
  SELECT experiment_id AS id FROM experiments WHERE workspace = %(workspace)s;
CREATE TEMPORARY TABLE gone_runs ON COMMIT DROP AS
  SELECT run_uuid AS id FROM runs WHERE experiment_id IN (SELECT id FROM gone_experiments);
CREATE TEMPORARY TABLE gone_inputs ON COMMIT DROP AS
  SELECT input_uuid AS id FROM inputs
  WHERE source_id IN (SELECT id FROM gone_runs) OR destination_id IN (SELECT id FROM gone_runs);
CREATE TEMPORARY TABLE gone_named ON COMMIT DROP AS
  SELECT id FROM gone_runs UNION SELECT id::text FROM gone_experiments
  UNION SELECT dataset_id FROM evaluation_datasets WHERE workspace = %(workspace)s
  UNION SELECT request_id FROM trace_info WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM metrics WHERE run_uuid IN (SELECT id FROM gone_runs);
DELETE FROM latest_metrics WHERE run_uuid IN (SELECT id FROM gone_runs);
DELETE FROM params WHERE run_uuid IN (SELECT id FROM gone_runs);
DELETE FROM tags WHERE run_uuid IN (SELECT id FROM gone_runs);
DELETE FROM input_tags WHERE input_uuid IN (SELECT id FROM gone_inputs);
DELETE FROM inputs WHERE input_uuid IN (SELECT id FROM gone_inputs);
DELETE FROM entity_associations
  WHERE source_id IN (SELECT id FROM gone_named) OR destination_id IN (SELECT id FROM gone_named);
DELETE FROM logged_model_metrics WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM logged_model_params WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM logged_model_tags WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM spans WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM online_scoring_configs WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM runs WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM experiment_tags WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM sql_assessment_daily_rollups WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM sql_span_cost_daily_rollups WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM sql_trace_metric_daily_rollups WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM sql_trace_rollup_rebuild_queue WHERE experiment_id IN (SELECT id FROM gone_experiments);
DELETE FROM experiments WHERE workspace = %(workspace)s;
DELETE FROM evaluation_datasets WHERE workspace = %(workspace)s;
DELETE FROM model_version_tags WHERE workspace = %(workspace)s;
DELETE FROM model_versions WHERE workspace = %(workspace)s;
DELETE FROM registered_model_tags WHERE workspace = %(workspace)s;
DELETE FROM registered_models WHERE workspace = %(workspace)s;
DELETE FROM webhooks WHERE workspace = %(workspace)s;
"""


def secret(path: str) -> str:
    return (SECRETS / path).read_text()


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the Job's log is the answer


def sync() -> None:
    """Create the workspaces of projects that have none."""
    for project in json.loads(PROJECTS.read_text()):
        status, answer = _ask("POST", _PATH, {"name": project["name"]})
        if status < 300:
            say(f"workspace {project['name']} created")
        elif answer.get("error_code") != "RESOURCE_ALREADY_EXISTS":
            raise SystemExit(f"workspace {project['name']}: {status} {answer.get('message', '')}")


def remove(name: str, *, keep_data: bool) -> None:
    """Remove a workspace, its rows and its artifacts; MLflow itself never deletes artifacts."""
    if keep_data:
        say(f"workspace {name} keeps its data")
        return
    _remove_workspace(name)
    if count := Bucket().remove(f"workspaces/{name}/"):
        say(f"{count} artifacts of workspace {name} removed")


def _remove_workspace(name: str) -> None:
    """Remove the rows, then the workspace: MLflow deletes only an empty one, and so confirms that it is.

    With its mode CASCADE the server would load each row, also all metrics, into its memory.
    """
    with database() as session:
        for _ in range(_ATTEMPTS):
            _remove_rows(session, name)
            status, answer = _ask("DELETE", f"{_PATH}/{name}?mode=RESTRICT")
            if status == 404:
                return
            if status < 300:
                say(f"workspace {name} removed")
                return
            if answer.get("error_code") != "INVALID_STATE":  # a program still writes
                break
    raise SystemExit(f"workspace {name}: {status} {answer.get('message', '')}")


def _ask(method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
    """Send one request with the Job's token; return the status and the JSON of the answer."""
    answer = urllib3.request(
        method,
        os.environ["URL"] + path,
        json=body,
        headers={"Authorization": f"Bearer {secret('token/token').strip()}"},
        retries=_PATIENCE,
        timeout=30,
    )
    return answer.status, json.loads(answer.data or b"{}")


def database() -> psycopg.Connection[Any]:
    password = secret("database/password") or database_password()
    return psycopg.connect(secret("database/uri"), password=password, autocommit=True, connect_timeout=10)


def _remove_rows(session: psycopg.Connection[Any], workspace: str) -> None:
    with session.transaction():
        for statement in _REMOVE_ROWS.split(";\n"):
            if statement.strip():
                session.execute(statement, {"workspace": workspace})


class Bucket:
    """The artifacts of all workspaces. Keys are below the root of MLflow's artifacts."""

    def __init__(self) -> None:
        self._bucket, _, root = secret("bucket/uri").removeprefix("s3://").rstrip("/").partition("/")
        self._root = f"{root}/" if root else ""
        endpoint, region = secret("bucket/endpoint"), secret("bucket/region")
        self._store = boto3.client("s3", endpoint_url=endpoint, region_name=region)

    def _pages(self, prefix: str) -> Iterator[list[dict[str, Any]]]:
        pages = self._store.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._root + prefix):
            yield page.get("Contents", [])

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and size of each object."""
        for page in self._pages(prefix):
            for each in page:
                yield each["Key"].removeprefix(self._root), each["Size"]

    def copy(self, source: str, target: str) -> None:
        """Copy one object inside the store, also a large one, which S3 copies in parts."""
        place = {"Bucket": self._bucket, "Key": self._root + source}
        self._store.copy(place, self._bucket, self._root + target)

    def remove(self, prefix: str) -> int:
        """Remove objects; return their number."""
        count = 0
        for page in self._pages(prefix):
            if keys := [{"Key": each["Key"]} for each in page]:
                answer = self._store.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}
                )
                if errors := answer.get("Errors"):
                    raise SystemExit(f"{errors[0]['Key']}: {errors[0]['Code']} {errors[0]['Message']}")
                count += len(keys)
        return count


if __name__ == "__main__":
    if sys.argv[1] == "sync":
        sync()
    else:
        remove(os.environ["PROJECT"], keep_data=os.environ["KEEP_DATA"] == "true")
