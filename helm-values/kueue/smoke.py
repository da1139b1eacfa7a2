"""Smoke test of Kueue: in the queue of a project, a Job over its quota waits, says why, and starts later.

The first Job reserves nearly all CPU of the project. It need not fit on a node: reserved quota is enough.
"""

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
from waiting import API, reason

LABEL = "kueue.x-k8s.io/queue-name"
QUEUE = "project"


def job(name: str, cpu: str, queue: str = QUEUE) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu, "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    pod = {
        **pod_spec("work", "python3", "-c", "print('done')", resources=resources),
        "restartPolicy": "Never",
    }
    labels = {LABEL: queue} if queue else {}
    return {
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def started(name: str) -> None:
    if get("batch/v1", "jobs", name)["spec"].get("suspend"):
        raise NotYetError(f"{name} is suspended")


def active() -> None:
    require_condition(get(API, "clusterqueues", PROJECT, ""), "Active")


def one_after_the_other(probes: Probes) -> None:
    with probes.works("a Job starts when the queue of the project has room"):
        patiently(active, NotYetError)
        # The webhooks of a pod that has just started may not be at every node's rules yet.
        patiently(lambda: create("batch/v1", "jobs", job("first", "3900m")), Refused)
        patiently(lambda: started("first"), NotYetError)
    with probes.works("a second Job waits, says why, and has no pod"):
        create("batch/v1", "jobs", job("second", "200m"))
        said = patiently(lambda: reason("second"), NotYetError)
        assert "insufficient unused quota for cpu" in said, said
        assert get("batch/v1", "jobs", "second")["spec"]["suspend"] is True
        assert not items("v1", "pods", "batch.kubernetes.io/job-name=second")
    with probes.works("it runs to its end when the first is gone"):
        delete("batch/v1", "jobs", "first")
        patiently(lambda: require_condition(get("batch/v1", "jobs", "second"), "Complete"), NotYetError)
        delete("batch/v1", "jobs", "second")


def probe(probes: Probes) -> None:
    one_after_the_other(probes)
    with probes.works("a Job without a queue starts beside it"):
        create("batch/v1", "jobs", job("free", "20m", queue=""))
        patiently(lambda: require_condition(get("batch/v1", "jobs", "free"), "Complete"), NotYetError)
        delete("batch/v1", "jobs", "free")
    with probes.refused("a queue with less than no CPU", Refused, "denied the request"):
        flavor = {"name": "nodes", "resources": [{"name": "cpu", "nominalQuota": "-1"}]}
        spec = {"resourceGroups": [{"coveredResources": ["cpu"], "flavors": [flavor]}]}
        create(
            API, "clusterqueues", {"kind": "ClusterQueue", "metadata": {"name": "wrong"}, "spec": spec}, ""
        )
    with probes.refused("more quota, for a member of the project", Refused, "403"):
        delete(API, "clusterqueues", PROJECT, "")
    with probes.refused("a queue of their own, for a member of the project", Refused, "403"):
        other = {"kind": "LocalQueue", "metadata": {"name": "own"}, "spec": {"clusterQueue": PROJECT}}
        create(API, "localqueues", other)
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    one_after_the_other(probes)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
