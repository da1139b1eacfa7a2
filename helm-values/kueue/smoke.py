"""Smoke test of Kueue: of two Jobs in a queue with room for one, the second waits until the first is gone."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import (
    PROJECT,
    NotYetError,
    Refused,
    create,
    delete,
    get,
    items,
    pod_spec,
    require_condition,
)
from probes import Probes, patiently

API = "kueue.x-k8s.io/v1beta2"
QUEUE = "smoke"
NAME = "kubernetes.io/metadata.name"


def cluster_queue(name: str, cpu: str) -> dict[str, Any]:
    """A queue for this project only, with so much CPU in all."""
    flavor = {"name": PROJECT, "resources": [{"name": "cpu", "nominalQuota": cpu}]}
    spec = {
        "namespaceSelector": {"matchLabels": {NAME: PROJECT}},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [flavor]}],
    }
    return {"kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec}


def open_queue() -> None:
    flavor = {"kind": "ResourceFlavor", "metadata": {"name": PROJECT}, "spec": {}}
    # The webhooks of a pod that has just started may not be at every node's rules yet.
    patiently(lambda: create(API, "resourceflavors", flavor, ""), Refused)
    create(API, "clusterqueues", cluster_queue(PROJECT, "30m"), "")
    local = {"kind": "LocalQueue", "metadata": {"name": QUEUE}, "spec": {"clusterQueue": PROJECT}}
    create(API, "localqueues", local)
    patiently(lambda: require_condition(get(API, "clusterqueues", PROJECT, ""), "Active"), NotYetError)


def close_queue() -> None:
    delete(API, "localqueues", QUEUE)
    delete(API, "clusterqueues", PROJECT, "")
    delete(API, "resourceflavors", PROJECT, "")


def job(name: str, script: str) -> dict[str, Any]:
    """A Job that takes most of the queue's CPU."""
    pod = {**pod_spec("work", "python3", "-c", script), "restartPolicy": "Never"}
    return {
        "kind": "Job",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": QUEUE}},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def started(name: str) -> None:
    if get("batch/v1", "jobs", name)["spec"].get("suspend"):
        raise NotYetError(f"{name} is suspended")


def waits(name: str) -> None:
    """Raise NotYetError until Kueue has said that there is no room for the Job."""
    found = [w for w in items(API, "workloads") if w["metadata"]["ownerReferences"][0]["name"] == name]
    conditions = [c for w in found for c in w.get("status", {}).get("conditions") or []]
    if not any((c["type"], c["status"]) == ("QuotaReserved", "False") for c in conditions):
        raise NotYetError(f"{name}: {conditions}")


def one_after_the_other(probes: Probes) -> None:
    with probes.works("a Job starts when its queue has room"):
        open_queue()
        create("batch/v1", "jobs", job("first", "import threading; threading.Event().wait()"))
        patiently(lambda: started("first"), NotYetError)
    with probes.works("a second Job waits, and no pod of it is made"):
        create("batch/v1", "jobs", job("second", "print('done')"))
        patiently(lambda: waits("second"), NotYetError)
        assert get("batch/v1", "jobs", "second")["spec"]["suspend"] is True
        assert not items("v1", "pods", "batch.kubernetes.io/job-name=second")
    with probes.works("it runs to its end when the first is gone"):
        delete("batch/v1", "jobs", "first")
        patiently(lambda: require_condition(get("batch/v1", "jobs", "second"), "Complete"), NotYetError)
        delete("batch/v1", "jobs", "second")
        close_queue()


def probe(probes: Probes) -> None:
    one_after_the_other(probes)
    with probes.refused("a queue with less than no CPU", Refused, "denied the request"):
        create(API, "clusterqueues", cluster_queue("wrong", "-1"), "")
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    one_after_the_other(probes)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
