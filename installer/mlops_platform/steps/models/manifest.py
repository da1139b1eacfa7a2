"""The InferenceService of a model: what the commands write, and what they leave as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlops_platform.adapters.kube.inference import API, AUTOSCALER, KIND, canary_pods
from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import DIGEST, MODEL, MODEL_VERSION, SERVER
from mlops_platform.base.quantities import to_cores
from mlops_platform.catalogue.projects import ModelsPart
from mlops_platform.steps.models.options import Sizes
from mlops_platform.steps.models.registry import Resolution, uri

_LABEL_VALUE = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"


def manifest(
    part: ModelsPart,
    project: str,
    name: str,
    model: Resolution,
    sizes: Sizes,
    existing: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The fields that are applied. Sizes that are not given stay those of the `existing` object."""
    before = existing["spec"]["predictor"] if existing else {}
    # The pods of a canary were added to those of the stable version.
    least, most = _replicas(sizes, before, canary_pods(existing) if existing else 0)
    resources = _resources(sizes, (before.get("model") or {}).get("resources") or {})
    source = uri(part, model.model, model.version)
    labels = {MODEL: model.model} if re.fullmatch(_LABEL_VALUE, model.model) else {}
    notes = {
        MODEL: model.model,
        MODEL_VERSION: model.version,
        # An autoscaler of a fixed number of pods would only ask for metrics.
        AUTOSCALER: "none" if least == most else "hpa",
        DIGEST: digest_of(source, resources),
    }
    return {
        "apiVersion": API,
        "kind": KIND,
        "metadata": {"name": name, "namespace": project, "labels": labels, "annotations": notes},
        "spec": {
            "predictor": {
                "serviceAccountName": SERVER,
                "minReplicas": least,
                "maxReplicas": most,
                # No pod fewer than before: a new pod is ready before an old one ends.
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
                "model": {
                    "modelFormat": {"name": part.format},
                    "protocolVersion": "v2",
                    "storageUri": source,
                    **({"resources": resources} if resources else {}),
                },
            }
        },
    }


def digest_of(source: str, resources: Mapping[str, Any]) -> str:
    """The digest that the controller copies to pods: those with another one are of an earlier version."""
    return short_digest([source, resources])


def _replicas(sizes: Sizes, before: Mapping[str, Any], others: int) -> tuple[int, int]:
    if sizes.least:
        return sizes.least, sizes.most
    least = max(1, int(before.get("minReplicas") or 1) - others)
    return least, max(least, int(before.get("maxReplicas") or 0) - others)


def _resources(sizes: Sizes, before: Mapping[str, Any]) -> dict[str, Any]:
    """Memory is request and limit. CPU is a request; its limit is at least one, the controller's default."""
    requests = dict(before.get("requests") or {})
    limits = dict(before.get("limits") or {})
    if sizes.cpu:
        requests["cpu"] = sizes.cpu
        limits["cpu"] = sizes.cpu if to_cores(sizes.cpu) > 1 else "1"
    if sizes.memory:
        requests["memory"] = limits["memory"] = sizes.memory
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
