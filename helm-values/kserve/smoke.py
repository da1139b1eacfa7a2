"""Smoke test of KServe: an InferenceService becomes ready, and the webhook refuses a wrong one.

The predictor is a container of its own, without a model: models are tested with the runtimes that serve them.
"""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create, delete, get, items, pod_spec, require_condition
from probes import Probes, patiently

API = "serving.kserve.io/v1beta1"
LABEL = "serving.kserve.io/inferenceservice"


def service(name: str, replicas: int = 1) -> dict[str, Any]:
    pod = pod_spec(
        "kserve-container", "python3", "-m", "http.server", "8080", ports=[{"containerPort": 8080}]
    )
    scaling = {"serving.kserve.io/autoscalerClass": "none"}  # no autoscaler: it would ask for metrics
    return {
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": scaling},
        "spec": {"predictor": {**pod, "minReplicas": replicas}},
    }


def becomes_ready(probes: Probes, name: str) -> None:
    with probes.works("an InferenceService gets a Deployment and becomes ready"):
        # The webhooks of a pod that has just started may not be at every node's rules yet.
        patiently(lambda: create(API, "inferenceservices", service(name)), Refused)
        patiently(lambda: require_condition(get(API, "inferenceservices", name), "Ready"), NotYetError)
        (pod,) = items("v1", "pods", f"{LABEL}={name}")
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet", pod["metadata"]
    with probes.works("the InferenceService is deleted with what was made for it"):
        delete(API, "inferenceservices", name)
        patiently(lambda: gone(name), NotYetError)


def gone(name: str) -> None:
    """Raise NotYetError while the object or one of its Services is left."""
    left = [each["metadata"]["name"] for each in items(API, "inferenceservices")]
    left += [each["metadata"]["name"] for each in items("v1", "services", f"{LABEL}={name}")]
    if left:
        raise NotYetError(f"left: {', '.join(left)}")


def probe(probes: Probes) -> None:
    becomes_ready(probes, "one")
    with probes.refused("an InferenceService with less than no replicas", Refused, "denied the request"):
        create(API, "inferenceservices", service("wrong", replicas=-1))
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    becomes_ready(probes, "again")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
