"""Jobs and TrainJobs (trainer.kubeflow.org) of people, and their states in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlops_platform.adapters.kube.client import Kube
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.kube.troubles import (
    Failure,
    failure_of,
    quota_words,
    unscheduled,
    waiting_words,
)

Object = Mapping[str, Any]
JobState = Literal["running", "starting", "waiting", "suspended", "complete", "failed", "stopping"]

TRAIN = ("trainer.kubeflow.org/v1alpha1", "TrainJob")
JOB = ("batch/v1", "Job")
_SET, _NAME = "jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name"  # labels of pods
# Kueue suspends a job until its queue has room. https://kueue.sigs.k8s.io/docs/concepts/workload/
_QUEUED = ("kueue.x-k8s.io/v1beta2", "Workload")
_QUEUE = "kueue.x-k8s.io/queue-name"  # label of a job


@dataclass(frozen=True)
class Work:
    """What a job does. `active` of `wanted` pods run; `reason` is why it waits or failed."""

    state: JobState
    active: int = 0
    wanted: int = 1
    reason: str = ""
    failure: Failure | None = None


@dataclass(frozen=True)
class Found:
    """Everything about the jobs of a namespace: `queued` are the entries in queues."""

    jobs: Sequence[Object]
    pods: Sequence[Object]
    queued: Sequence[Object]
    events: Sequence[Object]


def find(kube: Kube, namespace: str) -> Found:
    """Read the jobs of a namespace, without those that belong to another object. Four or five requests."""
    train = kube.list(*TRAIN, namespace) if kube.served(TRAIN[0].partition("/")[0]) else []
    jobs = [*train, *kube.list(*JOB, namespace)]
    own = [each for each in jobs if not each["metadata"].get("ownerReferences")]
    queues = any(_QUEUE in (each["metadata"].get("labels") or {}) for each in own)
    rejected = [e for e in kube.events(namespace) if e.get("reason") == "FailedCreate"] if own else []
    return Found(
        own,
        kube.list("v1", "Pod", namespace) if own else [],
        kube.list(*_QUEUED, namespace) if queues else [],
        rejected,
    )


def pods_of(job: Object, pods: Sequence[Object]) -> list[Object]:
    """The pods of a job, the oldest first."""
    label = _SET if job["kind"] == TRAIN[1] else _NAME
    name = job["metadata"]["name"]
    own = [p for p in pods if (p["metadata"].get("labels") or {}).get(label) == name]
    return sorted(own, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def work(job: Object, found: Found) -> Work:
    """The state of one job."""
    pods = pods_of(job, found.pods)
    wanted = _wanted(job)
    conditions = _conditions(job)
    if "deletionTimestamp" in job["metadata"]:
        return Work("stopping", wanted=wanted)
    if "Failed" in conditions:
        failure = next((f for pod in pods if (f := _failed(pod))), None)
        return Work("failed", 0, wanted, _why_failed(conditions["Failed"], failure), failure)
    if "Complete" in conditions:
        return Work("complete", wanted=wanted)
    if _suspended(job, conditions):
        why = _waits(job, found.queued)
        return Work("waiting" if why else "suspended", wanted=wanted, reason=why)
    return _active(job, pods, wanted, found.events)


def _conditions(job: Object) -> dict[str, Object]:
    """The conditions that are true, by type."""
    found = (job.get("status") or {}).get("conditions") or []
    return {each["type"]: each for each in found if each.get("status") == "True"}


def _wanted(job: Object) -> int:
    spec = job["spec"]
    if job["kind"] == TRAIN[1]:
        return int((spec.get("trainer") or {}).get("numNodes") or 1)
    return int(spec.get("parallelism", 1))


def _suspended(job: Object, conditions: Mapping[str, Object]) -> bool:
    """A TrainJob may have the condition while it runs again; its spec says what is wanted."""
    return bool(job["spec"].get("suspend")) or ("Suspended" in conditions and job["kind"] == JOB[1])


def _waits(job: Object, queued: Sequence[Object]) -> str:
    """Why a queue keeps the job: 'not enough quota in queue default: …'; '' if it is in none."""
    uid = job["metadata"]["uid"]
    for entry in queued:
        owners = [each["uid"] for each in entry["metadata"].get("ownerReferences") or []]
        if uid not in owners:
            continue
        queue = entry["spec"].get("queueName", "")
        for each in (entry.get("status") or {}).get("conditions") or []:
            if each["type"] == "QuotaReserved" and each["status"] == "False":
                return f"quota of queue {queue}: {each.get('message') or each.get('reason', '')}"
        return f"queue {queue}"
    return ""


def _active(job: Object, pods: Sequence[Object], wanted: int, events: Sequence[Object]) -> Work:
    own = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    running = sum(pod["status"].get("phase") in ("Running", "Succeeded") for pod in own)
    failure = next((f for pod in own if (f := _failed(pod))), None)
    reason = str(failure) if failure else _why_waiting(job, own, events)
    return Work("running" if running else "starting", running, wanted, reason, failure)


def _why_waiting(job: Object, pods: Sequence[Object], events: Sequence[Object]) -> str:
    for pod in pods:
        if pod["status"].get("phase") != "Pending":
            continue
        text = unscheduled(pod)
        for container in _containers(pod):
            text = text or waiting_words(container)
        return text or "its containers start"
    if pods:
        return ""
    return quota_words(_rejected(job, events)) or "its pods are not made yet"


def _rejected(job: Object, events: Sequence[Object]) -> str:
    """The newest message about a pod that could not be made. The Jobs of a TrainJob are `NAME-node-0` …"""
    name = re.escape(job["metadata"]["name"])
    own = re.compile(rf"{name}-[a-z0-9]+-[0-9]+" if job["kind"] == TRAIN[1] else name)
    about = [e for e in events if own.fullmatch((e.get("involvedObject") or {}).get("name", ""))]
    return str(about[-1].get("message", "")) if about else ""


def _containers(pod: Object) -> list[Object]:
    status = pod["status"]
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _failed(pod: Object) -> Failure | None:
    found = [failure for each in _containers(pod) if (failure := failure_of(each))]
    if found or pod_state(pod) is None or pod["status"].get("phase") != "Failed":
        return found[0] if found else None
    return Failure("", pod["status"].get("reason", "Failed"), pod["status"].get("message", ""), 1)


def _why_failed(condition: Object, failure: Failure | None) -> str:
    """The message of the failed pod; the condition's, if its pods are gone or a deadline passed."""
    if failure and condition.get("reason") != "DeadlineExceeded":
        return str(failure)
    return str(condition.get("message") or condition.get("reason", ""))
