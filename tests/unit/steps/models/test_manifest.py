"""The InferenceService that `model serve` applies."""

from __future__ import annotations

from typing import Any

import pytest
from mlops_platform.catalogue.projects import ModelsPart
from mlops_platform.steps.models.manifest import manifest
from mlops_platform.steps.models.options import Sizes
from mlops_platform.steps.models.registry import Resolution

PART = ModelsPart(port="http", api="/api", uri="reg://${model}/${version}", format="reg")


def made(sizes: Sizes, existing: Any = None, model: str = "iris") -> dict[str, Any]:
    return manifest(PART, "churn", "iris", Resolution(model, "2"), sizes, existing)


def test_object_names_a_version_and_keeps_every_pod_during_a_rollout() -> None:
    each = made(Sizes())
    notes = each["metadata"]["annotations"]
    assert len(notes.pop("mlops-platform/digest")) > 8
    assert notes == {
        "mlops-platform/model": "iris",
        "mlops-platform/model-version": "2",
        "serving.kserve.io/autoscalerClass": "none",
    }
    assert each["metadata"]["labels"] == {"mlops-platform/model": "iris"}
    assert each["spec"]["predictor"] == {
        "serviceAccountName": "server",
        "minReplicas": 1,
        "maxReplicas": 1,
        "deploymentStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        },
        "model": {"modelFormat": {"name": "reg"}, "protocolVersion": "v2", "storageUri": "reg://iris/2"},
    }


def test_range_of_replicas_has_an_autoscaler() -> None:
    each = made(Sizes(least=1, most=4))
    assert (each["spec"]["predictor"]["minReplicas"], each["spec"]["predictor"]["maxReplicas"]) == (1, 4)
    assert each["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "hpa"


@pytest.mark.parametrize(("cpu", "limit"), [("250m", "1"), ("2", "2")])
def test_sizes_become_requests_and_limits(cpu: str, limit: str) -> None:
    resources = made(Sizes(cpu=cpu, memory="2Gi"))["spec"]["predictor"]["model"]["resources"]
    assert resources == {"requests": {"cpu": cpu, "memory": "2Gi"}, "limits": {"cpu": limit, "memory": "2Gi"}}


def test_sizes_that_are_not_given_stay() -> None:
    before = made(Sizes(2, 3, "250m", "1Gi"))
    assert made(Sizes(), before)["spec"] == before["spec"]
    changed = made(Sizes(memory="2Gi"), before)["spec"]["predictor"]
    assert (changed["minReplicas"], changed["model"]["resources"]["requests"]) == (
        2,
        {"cpu": "250m", "memory": "2Gi"},
    )


def test_pods_of_a_canary_are_no_pods_of_the_model() -> None:
    before = made(Sizes(6, 8))
    before["spec"]["canary"] = [{"predictor": {"name": "v3", "minReplicas": 2}, "trafficPercent": 10}]
    after = made(Sizes(), before)["spec"]["predictor"]
    assert (after["minReplicas"], after["maxReplicas"]) == (4, 6)


def test_digest_changes_with_what_pods_have_and_not_with_their_number() -> None:
    def digest(sizes: Sizes) -> str:
        return str(made(sizes)["metadata"]["annotations"]["mlops-platform/digest"])

    assert digest(Sizes()) == digest(Sizes(2, 4))
    assert digest(Sizes()) != digest(Sizes(memory="1Gi"))


def test_model_whose_name_is_no_label_value_is_an_annotation_only() -> None:
    each = made(Sizes(), model="Fraud detection")
    assert each["metadata"]["labels"] == {}
    assert each["metadata"]["annotations"]["mlops-platform/model"] == "Fraud detection"
    assert each["spec"]["predictor"]["model"]["storageUri"] == "reg://Fraud%20detection/2"
