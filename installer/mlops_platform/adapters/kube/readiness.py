"""Waiting for workloads: one line about the first that is not ready, and an end if waiting cannot help."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mlops_platform.adapters.kube.client import Kube, Object
from mlops_platform.adapters.kube.errors import KubeError
from mlops_platform.adapters.kube.patience import Patience
from mlops_platform.adapters.kube.rollout import (
    WORKLOADS,
    State,
    belongs,
    newest,
    pod_state,
    pods_of,
    refused,
    replicas,
    rolling,
    selector_of,
    unsettled,
)
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError, WaitTimedOut
from mlops_platform.base.progress import Progress
from mlops_platform.base.yaml import kubernetes_objects

WORKLOADS_LABEL = "mlops-platform/workloads"  # on Helm's record: how many a release has in its namespace
_LOG_LINES = 20
_ABSENT = re.compile(r'(secret|configmap) "([^"]+)" not found')
_NO_LOG = (
    "unable to retrieve container logs for"  # the text, with status 200, in place of a log that was removed
)
_TELLING = frozenset(
    {"Pulling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling"}
)


def waiting_for(kube: Kube, namespace: str, name: str = "") -> str:
    """'' if every workload (of release `name`) is rolled out and ready, else one line about the first."""
    found = next(_unready(kube, namespace, name), None)
    return str(found) if found else ""


def workload_count(manifest: str, namespace: str) -> int:
    """Count the workloads that a rendered release has in its own namespace."""
    objects = [o for o in kubernetes_objects(manifest, "the release") if o["kind"] in WORKLOADS]
    return sum(1 for o in objects if o["metadata"].get("namespace", namespace) == namespace)


def selectors(kube: Kube, namespace: str, name: str) -> list[str]:
    """Label selectors of a release's pods, which find them after the workloads are deleted."""
    return [text for w in _workloads(kube, namespace, name) if (text := selector_of(w))]


def counts(kube: Kube, namespace: str, name: str) -> tuple[int, int]:
    """(ready, wanted) pods of a release."""
    each = [replicas(workload) for workload in _workloads(kube, namespace, name)]
    return sum(ready for ready, _ in each), sum(wanted for _, wanted in each)


def wait_ready(
    kube: Kube,
    namespace: str,
    name: str = "",
    *,
    progress: Progress,
    cancel: Cancel | None = None,
    seconds: float = 300,
) -> None:
    """Wait until every workload (of release `name`) is ready.

    Raises StepError with the end of the pod's log as soon as waiting cannot help (a crash loop, a missing
    Secret), and WaitTimedOut after `seconds`.
    """
    patience = Patience()
    last: list[State] = []

    def observe() -> bool | Pending:
        found = list(_unready(kube, namespace, name))
        if not found:
            return True
        last[:] = found[:1]
        hopeless = patience.exhausted(found)
        if hopeless:
            raise _given_up(kube, namespace, hopeless)
        return Pending(str(found[0]) if len(found) == 1 else f"{found[0]} (+{len(found) - 1})")

    try:
        wait_until(
            f"{name or namespace}: pods ready",
            observe,
            seconds=seconds,
            cancel=cancel,
            on_seen=progress.say,
            command=kube.kubectl("--namespace", namespace, "describe", "pods"),
        )
    except WaitTimedOut as error:
        error.why = "\n".join(filter(None, (error.why, log_end(kube, namespace, last[0]))))
        raise


def _workloads(kube: Kube, namespace: str, name: str) -> Iterator[Object]:
    for kind in WORKLOADS:
        yield from (w for w in kube.list("apps/v1", kind, namespace) if belongs(w, name))


def _unready(kube: Kube, namespace: str, name: str) -> Iterator[State]:
    """The state of each pod that is not ready, and of each workload without a pod."""
    workloads = list(_workloads(kube, namespace, name))
    missing = _expected(kube, namespace, name) - len(workloads)
    if missing > 0:
        yield State("release", name, "", "Missing", f"{missing} of its workloads are gone")
    pods = kube.list("v1", "Pod", namespace) if workloads else []
    now = datetime.now(UTC)
    for workload in workloads:
        text, own = rolling(workload), pods_of(workload, pods)
        if not text:
            yield from (state for pod in own if (state := unsettled(pod, now)))
            continue
        states = [state for pod in _current(kube, workload, own) if (state := pod_state(pod))]
        if states:
            yield from (explained(kube, namespace, state) for state in states)
        else:
            yield _podless(kube, namespace, workload, text)


def _current(kube: Kube, workload: Object, pods: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The pods of a Deployment's newest version: what keeps them from starting is what a rollout waits for.

    An old pod may crash meanwhile, perhaps for the reason for which it is replaced.
    """
    hashes = {(pod["metadata"].get("labels") or {}).get("pod-template-hash") for pod in pods}
    if workload["kind"] != "Deployment" or len(hashes) < 2:
        return pods
    sets = kube.list("apps/v1", "ReplicaSet", workload["metadata"]["namespace"])
    return newest(workload, sets, pods)


def _expected(kube: Kube, namespace: str, name: str) -> int:
    """The number of workloads that Helm created, 0 if unknown; it shows that one was deleted."""
    if not name:
        return 0
    records = kube.metadata("v1", "Secret", namespace, labels=f"owner=helm,status=deployed,name={name}")
    return max((int(r["metadata"]["labels"].get(WORKLOADS_LABEL, 0)) for r in records), default=0)


def explained(kube: Kube, namespace: str, state: State) -> State:
    """The state with the reason from the pod's events: only these have it while containers are created."""
    if state.reason not in ("ContainerCreating", "PodInitializing", "Pending"):
        return state
    telling = [e for e in kube.events(namespace, about=state.name) if e.get("reason") in _TELLING]
    if not telling:
        return state
    last = telling[-1]
    if last["reason"] == "FailedMount" and (missing := _missing(kube, namespace, last.get("message", ""))):
        return replace(state, reason="FailedMount", detail=missing)
    text = "pulling image" if last["reason"] == "Pulling" else f"{last['reason']}: {last.get('message', '')}"
    return replace(state, detail=text)


def _missing(kube: Kube, namespace: str, message: str) -> str:
    """The Secret or ConfigMap that a volume needs and that does not exist; '' if it is there by now."""
    found = _ABSENT.search(message)
    if not found:
        return ""
    kind = {"secret": "Secret", "configmap": "ConfigMap"}[found[1]]
    return "" if kube.get("v1", kind, found[2], namespace) else f"{kind} {found[2]} does not exist"


def _podless(kube: Kube, namespace: str, workload: Object, text: str) -> State:
    """The state of a workload whose rollout has no unready pod: it may be denied new pods."""
    kind, meta = workload["kind"].lower(), workload["metadata"]
    why = refused(workload)
    if not why:
        events = kube.events(namespace, about=meta["name"])
        why = next((e.get("message", "") for e in reversed(events) if e.get("reason") == "FailedCreate"), "")
    return State(kind, meta["name"], meta["uid"], "FailedCreate" if why else "Rolling", why or text)


def _given_up(kube: Kube, namespace: str, state: State) -> StepError:
    return StepError(
        f"{state.kind} {state.name}: {state.reason}, and waiting will not change it",
        why="\n".join(filter(None, (state.detail, log_end(kube, namespace, state)))),
        hint="correct the cause, then run the same command again",
        command=kube.kubectl("--namespace", namespace, "describe", state.kind, state.name),
    )


def log_end(kube: Kube, namespace: str, state: State) -> str:
    """The end of the container's log, else of the log before its restart; '' if both are empty.

    The log of a container that is not running is that of its last run.
    """
    if not state.container:
        return ""
    for previous in (False, True) if state.restarts else (False,):
        try:
            text = kube.logs(
                namespace, state.name, container=state.container, tail=_LOG_LINES, previous=previous
            )
        except KubeError as error:
            if error.status in (400, 404):  # no such container yet, or it is gone by now
                continue
            return f"its log cannot be read: {error.why}"  # the failure itself must still be reported
        if text.strip() and not text.startswith(_NO_LOG):
            return f"the end of its log:\n{text.rstrip()}"
    return ""
