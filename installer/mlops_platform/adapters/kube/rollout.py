"""State of workloads and pods: whether they are rolled out, and what a pod is waiting for, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Object = Mapping[str, Any]

SETTLE_SECONDS = 5
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True)
class State:
    """The reason (Kubernetes' own word) why a pod, or a workload without one, is not ready."""

    kind: str
    name: str
    uid: str
    reason: str
    detail: str = ""
    container: str = ""
    restarts: int = 0

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.reason}" + (f" ({self.detail})" if self.detail else "")


def belongs(workload: Object, name: str) -> bool:
    """Return whether a workload is part of release `name`, by the common label or by Helm's annotation."""
    meta = workload["metadata"]
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    by_label = labels.get("app.kubernetes.io/instance")
    return not name or name in (by_label, notes.get("meta.helm.sh/release-name"))


def replicas(workload: Object) -> tuple[int, int]:
    """(ready, wanted) pods of a workload."""
    status = workload.get("status", {})
    if workload["kind"] == "DaemonSet":
        return status.get("numberReady", 0), status.get("desiredNumberScheduled", 0)
    return status.get("readyReplicas", 0), workload["spec"].get("replicas", 1)


def rolling(workload: Object) -> str:
    """'' if all pods run the newest version and are ready, else the progress.

    The rules of `kubectl rollout status`: https://github.com/kubernetes/kubectl/blob/master/pkg/polymorphichelpers/rollout_status.go
    """
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return "its change has not been seen yet"
    ready, wanted = replicas(workload)
    updated = status.get(
        "updatedNumberScheduled" if workload["kind"] == "DaemonSet" else "updatedReplicas", 0
    )
    if updated < wanted and not _by_hand(workload):
        return f"{updated} of {wanted} pods are of the new version"
    if ready < wanted:
        return f"{ready} of {wanted} pods ready"
    if workload["kind"] == "Deployment" and status.get("replicas", 0) > wanted:
        return f"{status['replicas'] - wanted} old pods still end"
    return ""


def _by_hand(workload: Object) -> bool:
    """Return whether pods keep their version on purpose: an OnDelete strategy, or a partition."""
    strategy = workload["spec"].get("updateStrategy") or {}
    return strategy.get("type") == "OnDelete" or bool((strategy.get("rollingUpdate") or {}).get("partition"))


def pods_of(workload: Object, pods: Sequence[Object]) -> list[Object]:
    """The pods that the workload's selector matches."""
    wanted = _match_labels(workload)
    return [p for p in pods if wanted.items() <= (p["metadata"].get("labels") or {}).items()]


def newest(deployment: Object, sets: Sequence[Object], pods: Sequence[Object]) -> list[Object]:
    """Those of a Deployment's pods that belong to its newest ReplicaSet."""
    uid = deployment["metadata"]["uid"]
    own = [s for s in sets if any(o["uid"] == uid for o in s["metadata"].get("ownerReferences") or [])]
    if not own:
        return list(pods)
    last = max(own, key=_revision)["metadata"]["labels"].get("pod-template-hash")
    return [p for p in pods if (p["metadata"].get("labels") or {}).get("pod-template-hash") == last]


def _revision(replica_set: Object) -> int:
    notes = replica_set["metadata"].get("annotations") or {}
    return int(notes.get("deployment.kubernetes.io/revision", 0))


def selector_of(workload: Object) -> str:
    """The same as a label selector, such as 'app=minio,tier=store'."""
    return ",".join(f"{key}={value}" for key, value in sorted(_match_labels(workload).items()))


def _match_labels(workload: Object) -> Mapping[str, str]:
    """Charts write matchLabels; the few with matchExpressions have both."""
    labels: Mapping[str, str] = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    return labels


def refused(workload: Object) -> str:
    """The reason why a Deployment cannot create pods: quota, pod security, a missing service account."""
    for condition in workload.get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", condition.get("reason", "")))
    return ""


def pod_state(pod: Object) -> State | None:
    """The state of a pod; None if it is ready."""
    meta, status = pod["metadata"], pod.get("status", {})
    name, uid = meta["name"], meta.get("uid", "")
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    if "deletionTimestamp" in meta:
        return State("pod", name, uid, "Terminating")
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return State("pod", name, uid, scheduled.get("reason", "Pending"), scheduled.get("message", ""))
    for state in _containers(name, uid, status):
        return state
    reason = status.get("reason") or status.get("phase", "Pending")
    return State("pod", name, uid, reason, status.get("message", ""))


def unsettled(pod: Object, now: datetime) -> State | None:
    """The state of a ready pod with a container that has no probe and has run for less than SETTLE_SECONDS.

    Without a probe a container is ready from its first moment, even if it then crashes. It may have ended
    since the workload counted it. A start in the future (the node's clock is ahead) is ignored.
    """
    meta, status = pod["metadata"], pod.get("status", {})
    probed = {c["name"] for c in pod["spec"]["containers"] if "readinessProbe" in c}
    for container in status.get("containerStatuses") or []:
        if container["name"] in probed or "deletionTimestamp" in meta:
            continue
        state = container.get("state") or {}
        if status.get("phase") == "Running" and state and "running" not in state:
            return _container(meta["name"], meta["uid"], container)
        started = (state.get("running") or {}).get("startedAt")
        age = (now - datetime.fromisoformat(started)).total_seconds() if started else -1
        if 0 <= age < SETTLE_SECONDS:
            restarts = container.get("restartCount", 0)
            detail = f"{container['name']} has no probe and has just started"
            return State("pod", meta["name"], meta["uid"], "Started", detail, container["name"], restarts)
    return None


def _containers(name: str, uid: str, status: Object) -> Iterator[State]:
    """States of containers that are not ready, the most informative first, init containers before others."""
    init = status.get("initContainerStatuses") or []
    for done, container in enumerate(init):
        if not container.get("ready") and not container.get("started"):
            state = _container(name, uid, container)
            text = f"init {done}/{len(init)} {container['name']}"
            detail = f"{text}: {state.detail}" if state.detail else text
            yield State("pod", name, uid, state.reason, detail, container["name"], state.restarts)
    found = [_container(name, uid, c) for c in status.get("containerStatuses") or [] if not c.get("ready")]
    yield from sorted(found, key=lambda s: s.reason in ("ContainerCreating", "PodInitializing", "NotReady"))


def _container(name: str, uid: str, container: Object) -> State:
    state = container.get("state") or {}
    restarts = container.get("restartCount", 0)
    if "waiting" in state:
        reason = state["waiting"].get("reason", "Waiting")
        detail = state["waiting"].get("message", "")
        if reason == "CrashLoopBackOff":
            detail = _ended((container.get("lastState") or {}).get("terminated"))
    elif "terminated" in state:
        reason, detail = "Ended", _ended(state["terminated"])
    else:
        reason, detail = "NotReady", f"{container['name']} runs, its probe has not passed yet"
    if restarts:
        detail = f"{detail}, {restarts} restarts" if detail else f"{restarts} restarts"
    return State("pod", name, uid, reason, detail, container["name"], restarts)


def _ended(terminated: Object | None) -> str:
    """'exit 1' or 'OOMKilled'."""
    if not terminated:
        return "ended"
    reason = terminated.get("reason", "")
    return reason if reason not in ("", "Error", "Completed") else f"exit {terminated.get('exitCode')}"
