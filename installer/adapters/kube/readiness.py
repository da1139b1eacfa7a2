"""Owns waiting for workloads: what they wait for in one line, and giving up where waiting cannot help."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from installer.adapters.kube.client import Kube, KubeError, Object
from installer.adapters.kube.rollout import (
    HOPELESS,
    PULL_FAILED,
    STUCK,
    WORKLOADS,
    State,
    belongs,
    pod_state,
    pods_of,
    refused,
    replicas,
    rolling,
    selector_of,
)
from installer.adapters.wait import Pending, wait_until
from installer.cancel import Cancel
from installer.errors import StepError, WaitTimedOut
from installer.progress import Progress

CRASHES = 3
WORKLOADS_LABEL = "mlops-platform/workloads"  # on Helm's record: how many a release has in its namespace
_STUCK_SECONDS, _PULL_SECONDS = 30.0, 120.0
_LOG_LINES = 20
_TELLING = frozenset(
    {"Pulling", "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedScheduling"}
)


def waiting_for(kube: Kube, namespace: str, name: str = "") -> str:
    """'' when every workload (of release `name`) is rolled out and ready, else one line on the first."""
    found = next(_unready(kube, namespace, name), None)
    return str(found) if found else ""


def workload_count(manifest: str, namespace: str) -> int:
    """How many workloads a rendered release has in its own namespace."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    objects = [o for o in yaml.load_all(manifest, Loader=loader) if o and o["kind"] in WORKLOADS]
    return sum(1 for o in objects if o["metadata"].get("namespace", namespace) == namespace)


def selectors(kube: Kube, namespace: str, name: str) -> list[str]:
    """Label selectors of a release's pods, for looking after its workloads are gone."""
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
    """Wait until `waiting_for` has nothing to say.

    Raises StepError at once where waiting cannot help (a crash loop, a missing Secret), with the end
    of the pod's log, and WaitTimedOut after `seconds`.
    """
    patience = _Patience(kube, namespace)

    def observe() -> bool | Pending:
        found = list(_unready(kube, namespace, name))
        if not found:
            return True
        patience.judge(found)
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
        error.why = "\n".join(filter(None, (error.why, patience.log_end())))
        raise


def _workloads(kube: Kube, namespace: str, name: str) -> Iterator[Object]:
    for kind in WORKLOADS:
        yield from (w for w in kube.list("apps/v1", kind, namespace) if belongs(w, name))


def _unready(kube: Kube, namespace: str, name: str) -> Iterator[State]:
    """One state for each pod, or workload without one, that is not as it should be."""
    pods: list[Object] | None = None
    workloads = list(_workloads(kube, namespace, name))
    missing = _expected(kube, namespace, name) - len(workloads)
    if missing > 0:
        yield State("release", name, "", "Missing", f"{missing} of its workloads are gone")
    for workload in workloads:
        text = rolling(workload)
        if not text:
            continue
        pods = kube.list("v1", "Pod", namespace) if pods is None else pods
        states = [state for pod in pods_of(workload, pods) if (state := pod_state(pod))]
        if states:
            yield from (_explained(kube, namespace, state) for state in states)
        else:
            yield _podless(kube, namespace, workload, text)


def _expected(kube: Kube, namespace: str, name: str) -> int:
    """How many workloads Helm made; 0 when that is not known. Nothing else tells a deleted one."""
    if not name:
        return 0
    records = kube.metadata("v1", "Secret", namespace, labels=f"owner=helm,status=deployed,name={name}")
    return max((int(r["metadata"]["labels"].get(WORKLOADS_LABEL, 0)) for r in records), default=0)


def _explained(kube: Kube, namespace: str, state: State) -> State:
    """Why a container is only being created stands in the pod's events alone."""
    if state.reason not in ("ContainerCreating", "PodInitializing", "Pending"):
        return state
    telling = [e for e in kube.events(namespace, about=state.name) if e.get("reason") in _TELLING]
    if not telling:
        return state
    last = telling[-1]
    text = "pulling image" if last["reason"] == "Pulling" else f"{last['reason']}: {last.get('message', '')}"
    return replace(state, detail=text)


def _podless(kube: Kube, namespace: str, workload: Object, text: str) -> State:
    """A workload that has no unready pod yet is not ready: it may be refused new ones."""
    kind, meta = workload["kind"].lower(), workload["metadata"]
    why = refused(workload)
    if not why:
        events = kube.events(namespace, about=meta["name"])
        why = next((e.get("message", "") for e in reversed(events) if e.get("reason") == "FailedCreate"), "")
    return State(kind, meta["name"], meta["uid"], "FailedCreate" if why else "Rolling", why or text)


class _Patience:
    """Remembers how long each pod has been in a bad state, and says when it is enough."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._since: dict[tuple[str, str], float] = {}
        self._crashes: dict[tuple[str, str], int] = {}
        self._first = True
        self._last: State | None = None

    def judge(self, states: list[State]) -> None:
        """Raises StepError for a state that waiting will not end."""
        now = time.monotonic()
        held = {(s.uid, s.reason): self._since.get((s.uid, s.reason), now) for s in states}
        for state in states:
            limit = self._limit(state)
            if now - held[state.uid, state.reason] >= limit or self._crashed(state):
                self._last = state
                raise self._error(state)
        self._since, self._first, self._last = held, False, states[0]

    @staticmethod
    def _limit(state: State) -> float:
        """Seconds a state may last: a Secret or an image may still be on its way."""
        if state.reason in HOPELESS:
            return 0
        if state.reason in STUCK or state.reason == "FailedCreate":
            return _STUCK_SECONDS
        return _PULL_SECONDS if state.reason in PULL_FAILED else float("inf")

    def _crashed(self, state: State) -> bool:
        """CRASHES restarts while we watch; only one more of a pod that was looping before.

        Not the count alone: every restart of a node adds one to each of its containers.
        """
        key = (state.uid, state.container)
        looping = state.reason == "CrashLoopBackOff"
        if key not in self._crashes:
            seen = state.restarts - (CRASHES - 1 if looping else 0)
            self._crashes[key] = max(0, seen) if self._first else 0
        return looping and state.restarts - self._crashes[key] >= CRASHES

    def _error(self, state: State) -> StepError:
        command = self._kube.kubectl("--namespace", self._namespace, "describe", state.kind, state.name)
        return StepError(
            f"{state.kind} {state.name}: {state.reason}, and waiting will not change it",
            why="\n".join(filter(None, (state.detail, self.log_end()))),
            hint="mend what it says, then run the same command again",
            command=command,
        )

    def log_end(self) -> str:
        """The end of what the container said, before its restart if there was one; '' when nothing."""
        state = self._last
        if not state or not state.container:
            return ""
        for previous in (True, False) if state.restarts else (False,):
            try:
                text = self._kube.logs(
                    self._namespace, state.name, container=state.container, tail=_LOG_LINES, previous=previous
                )
            except KubeError as error:
                if error.status not in (400, 404):  # no such container yet, or it is gone by now
                    raise
                continue
            if text.strip():
                return f"the end of its log:\n{text.rstrip()}"
        return ""
