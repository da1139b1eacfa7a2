"""Smoke test of the first cell: a run in MLflow and data of the project, without a setting or a key."""

from __future__ import annotations

import sys

from apiserver import PROJECT
from browsing import Browser
from probes import Probes
from sessions import MEMBER, Notebook, people, started

_CELL = """
import mlflow
with mlflow.start_run(run_name="cell") as run:
    mlflow.log_metric("m", 1.0)
    mlflow.log_text("text", "note.txt")
found = mlflow.get_run(run.info.run_id)
print(found.data.metrics["m"], found.data.tags["mlflow.user"], found.info.artifact_uri)
"""
_DATA = """
import boto3, os
bucket = os.environ["DATA_URI"].removeprefix("s3://")
boto3.client("s3").put_object(Bucket=bucket, Key="cell", Body=b"data")
print(boto3.client("s3").get_object(Bucket=bucket, Key="cell")["Body"].read().decode())
"""

_FOREIGN = """
import boto3
boto3.client("s3").list_objects_v2(Bucket="project-of-others")
"""


class CellError(Exception):
    """What a cell has raised."""


def probe(probes: Probes) -> None:
    known = people()
    if not known:  # another issuer: the test cannot log in
        return
    owner = known[MEMBER]
    with started(probes, owner, Browser()) as running:
        if not running:
            return
        mine, kernel = running
        with probes.works("the first cell logs to MLflow, as this person, in the project"):
            metric, user, place = mine.run(kernel, _CELL).splitlines()[-1].split()  # MLflow prints lines too
            assert (metric, user) == ("1.0", owner["name"]) and PROJECT in place, (metric, user, place)
        with probes.works("a cell writes and reads data of the project, with credentials that end"):
            assert mine.run(kernel, _DATA) == "data\n"
        with probes.refused("data of another project, to a cell", CellError, "AccessDenied"):
            _raise(mine, kernel, _FOREIGN)
        with probes.refused("the workspace of another project, to a cell", CellError, "may not"):
            _raise(mine, kernel, "mlflow.set_workspace('kube-system'); mlflow.search_experiments()")


def _raise(mine: Notebook, kernel: str, code: str) -> None:
    try:
        mine.run(kernel, code)
    except AssertionError as error:
        raise CellError(str(error)) from None


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](running)
    running.end()
