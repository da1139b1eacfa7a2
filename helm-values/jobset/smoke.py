"""Smoke test of JobSet: a JobSet runs to its end, and the webhook refuses a wrong one."""

from __future__ import annotations

import sys
from typing import Any

from apiserver import NotYetError, Refused, create, delete, get, items, pod_spec, require_condition
from probes import Probes, patiently

API = "jobset.x-k8s.io/v1alpha2"
LABEL = "jobset.sigs.k8s.io/jobset-name"


def jobset(name: str, target: str = "work") -> dict[str, Any]:
    """A JobSet of one Job, which is complete when the replicated job `target` is."""
    pod = {**pod_spec("work", "python3", "-c", "print('done')"), "restartPolicy": "Never"}
    job = {"backoffLimit": 0, "template": {"spec": pod}}
    return {
        "kind": "JobSet",
        "metadata": {"name": name},
        "spec": {
            "successPolicy": {"operator": "All", "targetReplicatedJobs": [target]},
            "replicatedJobs": [{"name": "work", "replicas": 1, "template": {"spec": job}}],
        },
    }


def completes(probes: Probes, name: str) -> None:
    with probes.works("a JobSet of one Job completes"):
        # The webhooks of a pod that has just started may not be at every node's rules yet.
        patiently(lambda: create(API, "jobsets", jobset(name)), Refused)
        patiently(lambda: require_condition(get(API, "jobsets", name), "Completed"), NotYetError)
        jobs = items("batch/v1", "jobs", f"{LABEL}={name}")
        assert [job["status"].get("succeeded") for job in jobs] == [1], jobs
        delete(API, "jobsets", name)


def probe(probes: Probes) -> None:
    completes(probes, "one")
    with probes.refused("a JobSet that waits for a job it does not have", Refused, "denied the request"):
        create(API, "jobsets", jobset("wrong", target="missing"))
    with probes.refused("Secrets, to the account of the test", Refused, "403"):
        items("v1", "secrets")


def read(probes: Probes) -> None:
    completes(probes, "again")


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": lambda _: None, "read": read}[act](running)
    running.end()
