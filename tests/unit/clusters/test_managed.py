"""Managed services replace components in the plan and in the checks of an environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.engine.graph import Graph
from mlops_platform.environment import file as environment
from mlops_platform.plan import plan_up
from mlops_platform.plan_images import image_names
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
    """An environment whose tracker uses a managed database and bucket; no request is sent."""
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return read_only(open_environment(str(written(tmp_path, "mlflow", SCALER))))


@pytest.fixture
def graph(work: Context) -> Graph:
    assert "toolbox" in image_names(work), "the account script needs it"
    return plan_up(work)


def test_accounts_in_managed_server_need_no_component(graph: Graph) -> None:
    requires = graph.requires
    assert set(requires["mlflow/database"]) == {"mlflow/namespace", "cluster/image-toolbox"}
    assert requires["mlflow/bucket"] == ("mlflow/namespace",)
    assert {"mlflow/database", "mlflow/bucket"} <= set(requires["mlflow/migrate"])
    assert not [id_ for id_ in requires if id_.startswith(("postgres/", "minio/"))]


def test_component_beside_managed_service_is_an_error(tmp_path: Path) -> None:
    file = written(tmp_path, "mlflow", "minio", "postgres")
    with pytest.raises(ConfigurationError) as caught:
        environment.read(file, CATALOG, clusters.options_models(), beside=tmp_path)
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert "object-store is provided twice: minio, the cluster" in said
    assert "sql is provided twice: postgres, the cluster" in said


def test_autoscaler_gets_access_before_its_release(graph: Graph) -> None:
    assert graph.requires[f"{SCALER}/pools"] == (f"{SCALER}/namespace",)
    assert f"{SCALER}/pools" in graph.requires[f"{SCALER}/release"]


def test_autoscaler_values_have_cluster_name_and_resources(work: Context) -> None:
    values = values_of(work.resolved[SCALER])
    expected = {"cloudProvider": "aws", "awsRegion": "eu-central-1"}
    assert expected.items() <= values.items()
    assert values["autoDiscovery"] == {"clusterName": "mlops-cloudy"}
    assert values["resources"]["requests"] == {"cpu": "75m", "memory": "256Mi"}


def test_autoscaler_may_reach_endpoints_of_the_cloud(work: Context) -> None:
    endpoints = {end for there in work.resolved[SCALER].outside.values() for end in there.endpoints}
    assert endpoints == {("169.254.170.23/32", 80), ("0.0.0.0/0", 443)}


def test_autoscaler_without_node_pools_is_an_error(tmp_path: Path) -> None:
    file = written(tmp_path, SCALER)
    text = json.loads(file.read_text()) | {"cluster": {"provider": "host"}}
    file.write_text(json.dumps(text))
    with pytest.raises(ConfigurationError) as caught:
        environment.read(file, CATALOG, clusters.options_models(), beside=tmp_path)
    said = "\n".join(str(problem) for problem in caught.value.problems)
    assert f"{SCALER} requires node-pools, which is not chosen" in said
    assert "choose a cluster that has it" in said
