"""Proves that what a cloud has takes the place of components: in the plan, and in an environment's checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.engine.graph import Graph
from mlops_platform.environment import model as environment
from mlops_platform.plan import image_names, plan_up
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.steps.release.values import values_of

from tests.unit.environment.test_model import CATALOG

SCALER = "cluster-autoscaler"
CLOUD = {"provider": "aws", "region": "eu-central-1", "object_store": "s3", "sql": "rds"}


def written(folder: Path, *components: str) -> Path:
    text = {
        "name": "cloudy",
        "domain": "mlops.test",
        "cluster": CLOUD,
        "components": {c: {"cpu": "75m"} if c == SCALER else {} for c in components},
    }
    (folder / "cloudy.yaml").write_text(json.dumps(text))
    return folder / "cloudy.yaml"


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """Of an environment whose tracker has its database and its bucket from the cloud; nobody is asked."""
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return read_only(open_environment(str(written(tmp_path, "mlflow", SCALER))))


@pytest.fixture
def graph(work: Context) -> Graph:
    assert "toolbox" in image_names(work), "the script that makes accounts needs it"
    return plan_up(work)


def test_accounts_are_made_in_its_server_without_the_component(graph: Graph) -> None:
    requires = graph.requires
    assert set(requires["mlflow/database"]) == {"mlflow/namespace", "cluster/image-toolbox"}
    assert requires["mlflow/bucket"] == ("mlflow/namespace",)
    assert {"mlflow/database", "mlflow/bucket"} <= set(requires["mlflow/migrate"])
    assert not [id_ for id_ in requires if id_.startswith(("postgres/", "minio/"))]


def test_two_of_a_kind_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "mlflow", "minio", "postgres")
    with pytest.raises(ConfigurationError) as caught:
        environment.read(file, CATALOG, clusters.options_models(), beside=tmp_path)
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert "object-store is provided twice: minio, the cluster" in said
    assert "sql is provided twice: postgres, the cluster" in said


def test_who_scales_the_pools_is_let_in_before_it_starts(graph: Graph) -> None:
    assert graph.requires[f"{SCALER}/pools"] == (f"{SCALER}/namespace",)
    assert f"{SCALER}/pools" in graph.requires[f"{SCALER}/release"]


def test_it_is_told_whose_pools_they_are_and_gets_the_size_that_was_asked_for(work: Context) -> None:
    values = values_of(work.resolved[SCALER])
    told = {"cloudProvider": "aws", "awsRegion": "eu-central-1"}
    assert told.items() <= values.items()
    assert values["autoDiscovery"] == {"clusterName": "mlops-cloudy"}
    assert values["resources"]["requests"] == {"cpu": "75m", "memory": "256Mi"}


def test_it_gets_out_to_the_clouds_services(work: Context) -> None:
    ends = {end for there in work.resolved[SCALER].outside.values() for end in there.endpoints}
    assert ends == {("169.254.170.23/32", 80), ("0.0.0.0/0", 443)}


def test_where_pools_are_nobodys_to_change_it_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, SCALER)
    text = json.loads(file.read_text()) | {"cluster": {"provider": "host"}}
    file.write_text(json.dumps(text))
    with pytest.raises(ConfigurationError) as caught:
        environment.read(file, CATALOG, clusters.options_models(), beside=tmp_path)
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert f"{SCALER} requires node-pools, which is not chosen" in said
    assert "only a cluster can have it" in said
