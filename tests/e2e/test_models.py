"""Models of a project through the command line: trained by a job, served, updated, scored, stopped."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.forward import forward
from mlops_platform.adapters.wait import Pending, wait_until

from tests.e2e.platform import Platform, Result
from tests.e2e.serving.fit import FIT

pytestmark = pytest.mark.e2e

PROJECT = "flowers"
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(platform.state / "kubeconfig")


@pytest.fixture(scope="module")
def project(platform: Platform) -> Iterator[str]:
    platform.ok("project", "add", PROJECT, "--quota", "cpu=4,memory=8Gi")
    yield PROJECT
    platform.ok("project", "remove", PROJECT, "--yes", "--force")


def train(kube: Kube, name: str, program: str, **spec: Any) -> None:
    trainer = {"numNodes": 1, "command": ["python3", "-c", program], **spec}
    kube.create(
        {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": name, "namespace": PROJECT},
            "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer},
        }
    )


def job(platform: Platform, name: str) -> dict[str, Any]:
    data = platform.ok("job", "list", "--project", PROJECT, "--output", "json").envelope["data"]
    (found,) = [each for each in data["jobs"] if each["name"] == name]
    return dict(found)


def ended(platform: Platform, name: str) -> dict[str, Any]:
    """The row of a job in `job list`, when it has ended."""

    def look() -> dict[str, Any] | Pending:
        found = job(platform, name)
        return found if found["state"] in ("complete", "failed") else Pending(str(found))

    return wait_until(f"end of {name}", look, seconds=300, longest_delay=1)


@pytest.fixture(scope="module")
def iris(platform: Platform, kube: Kube, project: str) -> str:
    """A model with three versions, logged by a training job."""
    train(kube, "fit", FIT)
    found = ended(platform, "fit")
    assert found["state"] == "complete", found
    assert "three versions" in platform.ok("job", "logs", "fit", "--project", PROJECT).out
    return "iris"


def serve(platform: Platform, reference: str, *more: str) -> Result:
    return platform.run("model", "serve", reference, "--project", PROJECT, "--output", "json", *more)


def show(platform: Platform, name: str = "iris") -> dict[str, Any]:
    result = platform.ok("model", "show", name, "--project", PROJECT, "--output", "json")
    return dict(result.envelope["data"]["model"])


def predict(kube: Kube, *rows: Any, name: str = "iris") -> list[int]:
    """Ask the predictor, through a port-forward to its Service."""
    with forward(kube, PROJECT, f"service/{name}-predictor", 80) as address:
        request = urllib.request.Request(
            f"http://{address}/v1/models/{name}:predict",
            json.dumps({"instances": list(rows)}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return list(json.loads(answer.read())["predictions"])


def test_alias_is_served_as_its_version_and_answers(platform: Platform, kube: Kube, iris: str) -> None:
    result = serve(platform, f"{iris}@champion")
    assert result.code == 0, result.err
    data = result.envelope["data"]
    assert (data["changed"], data["before"], data["model"]["version"]) == (True, "", "1")
    assert (data["model"]["state"], data["model"]["serves"]) == ("ready", {"1": 1})
    assert predict(kube, SETOSA, VIRGINICA) == [0, 2]
    made = kube.get("serving.kserve.io/v1beta1", "InferenceService", "iris", PROJECT)
    assert made and made["spec"]["predictor"]["model"]["storageUri"] == "mlflow://iris/1"


def test_same_version_again_changes_nothing(platform: Platform, iris: str) -> None:
    result = serve(platform, f"{iris}/1")
    assert (result.code, result.envelope["data"]["changed"]) == (0, False)


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("iris/99", "model not found: iris version 99"),
        ("iris@prod", "model iris has no alias prod"),
        ("roses", f"project {PROJECT} has no model roses"),
    ],
)
def test_version_that_does_not_exist_changes_nothing(
    platform: Platform, iris: str, reference: str, what: str
) -> None:
    result = serve(platform, reference)
    assert (result.code, result.envelope["error"]["what"]) == (2, what)
    assert show(platform)["version"] == "1"


def test_version_that_does_not_load_leaves_the_old_one_serving(
    platform: Platform, kube: Kube, iris: str
) -> None:
    result = serve(platform, f"{iris}/3")
    assert result.code == 5
    assert "version 3 does not serve; version 1 still serves" in result.envelope["error"]["what"]
    found = show(platform)
    assert (found["state"], found["version"], found["serves"]) == ("failed", "3", {"1": 1})
    assert found["reason"]
    assert predict(kube, VIRGINICA) == [2]
    assert serve(platform, f"{iris}/2").code == 0
    assert show(platform)["serves"] == {"2": 1}


def pods(kube: Kube) -> set[str]:
    """The pods of the stable predictor that do not end."""
    found = kube.list("v1", "Pod", PROJECT, labels="app=isvc.iris-predictor")
    return {each["metadata"]["uid"] for each in found if "deletionTimestamp" not in each["metadata"]}


def test_canary_comes_and_goes_without_a_change_of_the_stable_pods(
    platform: Platform, kube: Kube, iris: str
) -> None:
    assert serve(platform, f"{iris}/2", "--replicas", "2").code == 0
    before = pods(kube)
    assert serve(platform, f"{iris}/1", "--canary", "10").code == 0
    found = show(platform)
    assert (found["state"], found["serves"], found["canary"]) == ("ready", {"2": 2}, {"v1": 10})
    (canary,) = kube.list("v1", "Pod", PROJECT, labels="app=isvc.iris-v1-predictor")
    assert canary["metadata"]["annotations"]["mlops-platform/model-version"] == "1"
    assert serve(platform, f"{iris}/2").code == 0
    assert (pods(kube), len(before), show(platform)["canary"]) == (before, 2, {})
    assert serve(platform, f"{iris}/2", "--replicas", "1").code == 0


def test_model_with_its_own_code_answers_and_one_without_its_package_says_so(
    platform: Platform, kube: Kube, iris: str
) -> None:
    assert serve(platform, "petals").code == 0
    assert predict(kube, {"width": 0.2}, {"width": 2.5}, name="petals") == [0, 1]
    result = serve(platform, "lacks")
    assert result.code == 5 and "model needs xgboost 3.1.2, the runtime has none" in result.err
    for name in ("petals", "lacks"):
        platform.ok("model", "stop", name, "--project", PROJECT)


def test_model_in_the_data_of_the_project_answers(platform: Platform, kube: Kube, iris: str) -> None:
    source = f"s3://project-{PROJECT}/stored"
    model = {"modelFormat": {"name": "mlflow"}, "protocolVersion": "v2", "storageUri": source}
    notes = {"serving.kserve.io/autoscalerClass": "none"}
    kube.apply(
        {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": "stored", "namespace": PROJECT, "annotations": notes},
            "spec": {"predictor": {"serviceAccountName": "server", "minReplicas": 1, "model": model}},
        }
    )
    wait_until(
        "the model is ready",
        lambda: show(platform, "stored")["state"] == "ready" or Pending(str(show(platform, "stored"))),
        seconds=120,
        longest_delay=1,
    )
    assert predict(kube, SETOSA, VIRGINICA, name="stored") == [0, 2]
    platform.ok("model", "stop", "stored", "--project", PROJECT)


def test_sizes_stay_if_they_are_not_given(platform: Platform, iris: str) -> None:
    assert serve(platform, f"{iris}/2", "--memory", "600Mi").code == 0
    assert serve(platform, f"{iris}/2").envelope["data"]["changed"] is False


def test_file_of_the_data_is_scored(platform: Platform, iris: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,c,d\n" + "".join(f"{','.join(map(str, row))}\n" for row in (SETOSA, VIRGINICA)))
    platform.ok("project", "data", "put", str(rows), "--project", PROJECT)
    place = ("--project", PROJECT, "--input", "rows.csv", "--output")
    platform.ok("model", "score", f"{iris}/2", *place, "scored.csv")
    platform.ok("project", "data", "get", "scored.csv", "--project", PROJECT, "--to", str(tmp_path))
    scored = (tmp_path / "scored.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in scored] == ["prediction", "0", "2"]
    missing = platform.run(
        "model", "score", f"{iris}/2", "--project", PROJECT, "--input", "none.csv", "--output", "x.csv"
    )
    assert missing.code == 5 and "the data of the project has no file none.csv" in missing.err
    parquet = platform.run("model", "score", f"{iris}/2", *place, "scored.parquet")
    assert parquet.code == 5 and "Parquet needs pyarrow" in parquet.err


def test_failing_job_has_its_message_and_is_stopped_for_good(
    platform: Platform, kube: Kube, project: str
) -> None:
    train(kube, "bad", "raise ValueError('no column age')")
    found = ended(platform, "bad")
    assert found["state"] == "failed" and "ValueError: no column age" in found["reason"]
    assert "ValueError: no column age" in platform.ok("job", "logs", "bad", "--project", PROJECT).out
    platform.ok("job", "stop", "bad", "--project", PROJECT)
    for api, kind in (("trainer.kubeflow.org/v1alpha1", "TrainJob"), ("jobset.x-k8s.io/v1alpha2", "JobSet")):
        wait_until(
            f"end of {kind}",
            lambda api=api, kind=kind: not kube.get(api, kind, "bad", PROJECT) or Pending("left"),  # type: ignore[misc]
            seconds=60,
        )
    gone = platform.run("job", "stop", "bad", "--project", PROJECT)
    assert gone.code == 2 and f"project {PROJECT} has no job bad" in gone.err


def test_job_over_the_quota_says_so(platform: Platform, kube: Kube, project: str) -> None:
    sizes = {"requests": {"cpu": "30", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    train(kube, "wide", "print(1)", resourcesPerNode=sizes)

    def rejected() -> bool | Pending:
        found = job(platform, "wide")
        return found["reason"].startswith("not enough quota: requests.cpu: 30 more") or Pending(str(found))

    wait_until("the reason", rejected, seconds=60, longest_delay=1)
    silent = platform.ok("job", "logs", "wide", "--project", PROJECT)
    assert "wide has written nothing · starting 0 of 1: not enough quota" in silent.out + silent.err
    platform.ok("job", "stop", "trainjob/wide", "--project", PROJECT)


def test_stopped_model_leaves_no_pod(platform: Platform, kube: Kube, iris: str) -> None:
    platform.ok("model", "stop", "iris", "--project", PROJECT)
    assert not kube.list("v1", "Pod", PROJECT, labels="serving.kserve.io/inferenceservice=iris")
    result = platform.run("model", "show", "iris", "--project", PROJECT)
    assert result.code == 2 and "no model iris is served" in result.err
