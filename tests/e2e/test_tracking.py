"""MLflow's API through the gateway, after cases of MLflow's own tests (tests/tracking)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.platform import Platform

if TYPE_CHECKING:
    from mlflow import MlflowClient

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def client(platform: Platform, machine: None) -> Iterator[MlflowClient]:
    from mlflow import MlflowClient

    with platform.opened("mlflow") as url:
        yield MlflowClient(tracking_uri=url, registry_uri=url)


@pytest.fixture(scope="module")
def experiment(client: MlflowClient) -> str:
    return str(client.create_experiment("tracking"))


def refused(act: Callable[[], object], code: str) -> str:
    """The message of MLflow's error with this code."""
    from mlflow import MlflowException

    with pytest.raises(MlflowException) as caught:
        act()
    assert caught.value.error_code == code, caught.value
    return str(caught.value)


def test_experiment_is_renamed_deleted_and_restored(client: MlflowClient) -> None:
    made = client.create_experiment("first", tags={"team": "a"})
    refused(lambda: client.create_experiment("first"), "RESOURCE_ALREADY_EXISTS")
    client.rename_experiment(made, "second")
    assert client.get_experiment_by_name("first") is None
    client.delete_experiment(made)
    refused(lambda: client.create_run(made), "INVALID_PARAMETER_VALUE")
    assert made not in [each.experiment_id for each in client.search_experiments()]
    client.restore_experiment(made)
    found = client.get_experiment_by_name("second")
    assert found and (found.experiment_id, found.tags["team"]) == (made, "a")


def test_parameter_of_a_run_cannot_change(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    client.log_param(run, "depth", 3)
    client.log_param(run, "depth", 3)
    refused(lambda: client.log_param(run, "depth", 4), "INVALID_PARAMETER_VALUE")
    assert client.get_run(run).data.params == {"depth": "3"}


def test_metric_keeps_its_history_and_shows_its_last_step(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info.run_id
    for step, value in enumerate((0.5, float("inf"), -0.25)):
        client.log_metric(run, "loss", value, step=step, timestamp=1000 + step)
    history = client.get_metric_history(run, "loss")
    assert [(each.step, each.timestamp) for each in history] == [(0, 1000), (1, 1001), (2, 1002)]
    assert client.get_run(run).data.metrics == {"loss": -0.25}


def test_deleted_run_is_not_found_by_a_search_until_it_is_restored(
    client: MlflowClient, experiment: str
) -> None:
    run = client.create_run(experiment, tags={"kind": "deleted"}).info.run_id
    client.set_terminated(run, "FAILED")

    def found() -> list[str]:
        return [each.info.status for each in client.search_runs([experiment], "tags.kind = 'deleted'")]

    client.delete_run(run)
    assert found() == []
    client.restore_run(run)
    assert found() == ["FAILED"]


def test_search_filters_sorts_and_has_pages(client: MlflowClient, experiment: str) -> None:
    for number in range(5):
        run = client.create_run(experiment, tags={"kind": "search"}).info.run_id
        client.log_metric(run, "score", number)
    query: dict[str, Any] = {
        "filter_string": "tags.kind = 'search' and metrics.score > 0",
        "order_by": ["metrics.score DESC"],
        "max_results": 3,
    }
    first = client.search_runs([experiment], **query)
    second = client.search_runs([experiment], **query, page_token=first.token)
    assert [run.data.metrics["score"] for run in [*first, *second]] == [4, 3, 2, 1]
    assert not second.token
    refused(lambda: client.search_runs([experiment], "nonsense ="), "INVALID_PARAMETER_VALUE")


def test_artifacts_are_listed_and_read_by_folder(
    client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    run = client.create_run(experiment).info.run_id
    client.log_text(run, "one", "folder/one.txt")
    client.log_dict(run, {"rows": 2}, "folder/deep/two.json")
    assert [(each.path, each.is_dir) for each in client.list_artifacts(run)] == [("folder", True)]
    assert {each.path for each in client.list_artifacts(run, "folder")} == {"folder/one.txt", "folder/deep"}
    folder = Path(client.download_artifacts(run, "folder", str(tmp_path)))
    assert sorted(str(each.relative_to(folder)) for each in folder.rglob("*.*")) == [
        "deep/two.json",
        "one.txt",
    ]


def test_versions_of_a_model_have_numbers_tags_and_aliases(client: MlflowClient, experiment: str) -> None:
    run = client.create_run(experiment).info
    client.create_registered_model("tracked")
    refused(lambda: client.create_registered_model("tracked"), "RESOURCE_ALREADY_EXISTS")
    for data in ("a", "b", "c"):
        source = f"{run.artifact_uri}/model"
        made = client.create_model_version("tracked", source, run.run_id, tags={"data": data})
    assert made.version == "3"
    client.set_registered_model_alias("tracked", "best", "1")
    client.set_registered_model_alias("tracked", "best", "3")
    assert client.get_model_version_by_alias("tracked", "best").version == "3"
    assert [v.version for v in client.search_model_versions("name = 'tracked' and tags.data = 'b'")] == ["2"]
    client.delete_model_version("tracked", "3")
    refused(lambda: client.get_model_version_by_alias("tracked", "best"), "INVALID_PARAMETER_VALUE")
    refused(lambda: client.get_model_version("tracked", "3"), "RESOURCE_DOES_NOT_EXIST")
    client.delete_registered_model("tracked")
    assert client.search_model_versions("name = 'tracked'") == []


def test_batch_with_two_values_of_a_parameter_is_refused_whole(client: MlflowClient, experiment: str) -> None:
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment).info.run_id
    metrics, params = [Metric("loss", 1.0, 1000, 0)], [Param("depth", "3"), Param("depth", "4")]
    refused(lambda: client.log_batch(run, metrics, params), "INVALID_PARAMETER_VALUE")
    data = client.get_run(run).data
    assert (data.params, data.metrics) == ({}, {})
