"""Proves that what a cloud has takes the place of components: in the plan, and in an environment's checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from installer import clusters, environment
from installer.engine.steps import Graph
from installer.errors import ConfigurationError
from installer.plan import image_names, plan_up
from installer.reach import read_only
from installer.session import open_environment
from tests.unit.test_environment import CATALOG

CLOUD = {"provider": "aws", "region": "eu-central-1", "object_store": "s3", "sql": "rds"}


def written(folder: Path, *components: str) -> Path:
    text = {
        "name": "cloudy",
        "domain": "mlops.test",
        "cluster": CLOUD,
        "components": {c: {} for c in components},
    }
    (folder / "cloudy.yaml").write_text(json.dumps(text))
    return folder / "cloudy.yaml"


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """Of an environment whose tracker has its database and its bucket from the cloud; nobody is asked."""
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    work = read_only(open_environment(str(written(tmp_path, "mlflow"))))
    assert "toolbox" in image_names(work), "the script that makes accounts needs it"
    return plan_up(work)


def test_accounts_are_made_in_its_server_without_the_component(graph: Graph) -> None:
    steps = {step.id: step for step in graph.steps}
    assert set(steps["mlflow/database"].requires) == {"mlflow/namespace", "cluster/image-toolbox"}
    assert steps["mlflow/bucket"].requires == ("mlflow/namespace",)
    assert {"mlflow/database", "mlflow/bucket"} <= set(steps["mlflow/migrate"].requires)
    assert not [id_ for id_ in steps if id_.startswith(("postgres/", "minio/"))]


def test_two_of_a_kind_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "mlflow", "minio", "postgres")
    with pytest.raises(ConfigurationError) as caught:
        environment.read(file, CATALOG, clusters.options_models(), beside=tmp_path)
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert "object-store is provided twice: minio, the cluster" in said
    assert "sql is provided twice: postgres, the cluster" in said
