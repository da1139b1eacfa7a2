"""Smoke test of queues with training jobs: the nodes of a TrainJob start together, or none of them does."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create, delete, get, items, require_condition
from probes import Probes, patiently
from waiting import reason

TRAINING = "trainer.kubeflow.org/v1alpha1"
NODES = "jobset.sigs.k8s.io/jobset-name"


def trainjob(name: str, cpu: str, queue: str = "project") -> dict[str, Any]:
    """A training job of two nodes."""
    trainer = {
        "numNodes": 2,
        "command": ["python3", "-c", "print('trained')"],
        "resourcesPerNode": {"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
    }
    return {
        "kind": "TrainJob",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": queue}},
        "spec": {"runtimeRef": {"name": "python"}, "trainer": trainer},
    }


def probe(probes: Probes) -> None:
    with probes.works("a training job of two nodes waits whole if the quota has room for one node"):
        create(TRAINING, "trainjobs", trainjob("big", "2500m"))
        said = patiently(lambda: reason("big"), NotYetError)
        assert "quota for cpu" in said, said
        assert get(TRAINING, "trainjobs", "big")["spec"]["suspend"] is True
        assert not items("v1", "pods", f"{NODES}=big")
    with probes.works("a smaller one behind it runs both nodes to their end"):
        create(TRAINING, "trainjobs", trainjob("small", "50m"))
        patiently(lambda: require_condition(get(TRAINING, "trainjobs", "small"), "Complete"), NotYetError)
        assert len(items("v1", "pods", f"{NODES}=small")) == 2, "two nodes"
        assert not items("v1", "pods", f"{NODES}=big")
    with probes.refused("another queue, for a training job that has one", Refused, "denied the request"):
        create(TRAINING, "trainjobs", trainjob("wrong", "50m", queue="Not_A_Queue"))
    delete(TRAINING, "trainjobs", "big")
    delete(TRAINING, "trainjobs", "small")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](running)
    running.end()
