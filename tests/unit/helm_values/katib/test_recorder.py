"""The best trial of an Experiment: what is recorded of it, and that its Job is made once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[str, Any]]:
    with modules(ROOT / "helm-values/katib", ("calls", "recorder")) as found:
        yield dict(found)


def experiment(
    name: str = "one", state: str = "Succeeded", kind: str = "minimize", **more: Any
) -> dict[str, Any]:
    metrics = [
        {"name": "loss", "min": "0.5", "max": "9", "latest": "1"},
        {"name": "steps", "min": "1", "max": "3", "latest": "3"},
        {"name": "other", "min": "unavailable", "max": "unavailable", "latest": "unavailable"},
        {"name": "endless", "min": "inf", "max": "inf", "latest": "inf"},
    ]
    best = {
        "bestTrialName": f"{name}-a",
        "parameterAssignments": [{"name": "x", "value": "0.25"}],
        "observation": {"metrics": metrics},
    }
    return {
        "metadata": {"name": name, "namespace": "churn", "uid": f"uid-{name}", **more},
        "spec": {"objective": {"type": kind, "objectiveMetricName": "loss"}},
        "status": {"conditions": [{"type": state, "status": "True"}], "currentOptimalTrial": best},
    }


@dataclass
class Cluster:
    """Experiments; a second Job of one name is a conflict, as in a cluster."""

    errors: type[Exception]
    experiments: list[dict[str, Any]]
    jobs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    status: int = 0
    posts: int = 0

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        assert path == "/apis/kubeflow.org/v1beta1/experiments"
        return self.experiments

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert (method, path) == ("POST", "/apis/batch/v1/namespaces/churn/jobs")
        assert body is not None
        self.posts += 1
        name = body["metadata"]["name"]
        if self.status or name in self.jobs:
            raise self.errors(self.status or 409, "no")
        self.jobs[name] = body
        return {}


def recorder(loaded: dict[str, Any], cluster: Cluster) -> Any:
    return loaded["recorder"].Recorder(cluster, "ml:1", [{"serviceAccountToken": {"audience": "mlflow"}}])


def cluster_of(loaded: dict[str, Any], *found: dict[str, Any]) -> Cluster:
    return Cluster(loaded["calls"].CallError, list(found))


@pytest.mark.parametrize(("kind", "loss"), [("minimize", 0.5), ("maximize", 9.0), ("", 1.0)])
def test_record_has_parameters_and_finite_metrics(loaded: dict[str, Any], kind: str, loss: float) -> None:
    assert loaded["recorder"].record_of(experiment(kind=kind)) == {
        "experiment": "one",
        "uid": "uid-one",
        "trial": "one-a",
        "parameters": {"x": "0.25"},
        "metrics": {"loss": loss, "steps": 3.0},
    }


def test_experiments_that_run_or_end_without_a_best_trial_have_no_record(loaded: dict[str, Any]) -> None:
    record_of = loaded["recorder"].record_of
    assert record_of(experiment(state="Running")) is None
    assert record_of(experiment(deletionTimestamp="now")) is None
    none = experiment(state="Failed")
    none["status"]["currentOptimalTrial"] = {"bestTrialName": "", "observation": {}}
    assert record_of(none) is None
    assert record_of({"metadata": {"name": "new"}, "spec": {}}) is None
    assert record_of(experiment(state="Failed")), "a failed one may have good trials"


def test_job_is_made_once_and_again_by_no_new_controller(loaded: dict[str, Any]) -> None:
    cluster = cluster_of(loaded, experiment())
    first = recorder(loaded, cluster)
    first.once()
    first.once()
    assert cluster.posts == 1
    recorder(loaded, cluster).once()
    assert list(cluster.jobs) == ["one-a-best"]
    meta = cluster.jobs["one-a-best"]["metadata"]
    assert meta["ownerReferences"][0]["uid"] == "uid-one", "it ends with its Experiment"


def test_continued_experiment_with_another_best_trial_has_another_job(loaded: dict[str, Any]) -> None:
    each = experiment()
    cluster = cluster_of(loaded, each)
    found = recorder(loaded, cluster)
    found.once()
    each["status"]["currentOptimalTrial"]["bestTrialName"] = "one-b"
    found.once()
    assert list(cluster.jobs) == ["one-a-best", "one-b-best"]


def test_reason_is_printed_once(loaded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    cluster = cluster_of(loaded, experiment())
    cluster.status = 403
    found = recorder(loaded, cluster)
    found.once()
    found.once()
    assert capsys.readouterr().out == "churn/one: 403 no\n"
    cluster.status = 500
    found.once()
    assert capsys.readouterr().out == "churn/one: 500 no\n"


def test_job_of_one_project_does_not_stop_the_others(loaded: dict[str, Any]) -> None:
    cluster = cluster_of(loaded, experiment("one"), experiment("two"))
    cluster.status = 403
    found = recorder(loaded, cluster)
    found.once()
    assert cluster.posts == 2
    cluster.status = 0
    found.once()
    assert set(cluster.jobs) == {"one-a-best", "two-a-best"}, "it is tried again"


def test_job_runs_as_the_account_of_the_project_without_more_rights(loaded: dict[str, Any]) -> None:
    each = experiment()
    each["status"]["currentOptimalTrial"]["parameterAssignments"] = [{"name": "x", "value": "$(HOME)"}]
    cluster = cluster_of(loaded, each)
    recorder(loaded, cluster).once()
    pod = cluster.jobs["one-a-best"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == "trainer"
    assert pod["automountServiceAccountToken"] is False
    assert container["image"] == "ml:1"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    (text,) = (each["value"] for each in container["env"] if each["name"] == "RECORD")
    assert json.loads(text.replace("$$", "$"))["parameters"] == {"x": "$(HOME)"}
    assert "$$(HOME)" in text, "the kubelet replaces $(NAME)"
