"""InferenceServices (serving.kserve.io): the object that serves a model, and its state in words.

The state is that of the pods of the newest version: the condition `Ready` is true while an old pod serves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mlops_platform.adapters.kube.client import Kube
from mlops_platform.adapters.kube.rollout import State, newest, pod_state, pods_of, refused
from mlops_platform.adapters.kube.troubles import Failure, failure_of, quota_words, unscheduled, waiting_words
from mlops_platform.base.labels import DIGEST, MODEL, MODEL_VERSION

Object = Mapping[str, Any]
ServingState = Literal["starting", "ready", "updating", "failed", "stopping"]

GROUP = "serving.kserve.io"
API, KIND = f"{GROUP}/v1beta1", "InferenceService"
LABEL = f"{GROUP}/inferenceservice"
AUTOSCALER = f"{GROUP}/autoscalerClass"
_SOURCE = f"internal.{GROUP}/storage-initializer-sourceuri"  # annotation of a pod: the URI that it loads
STARTS = "its containers start"
_LOADER = "storage-initializer"
_SLOW_SECONDS = 60.0  # the controller makes a Deployment within a second; more on a busy machine
_INSECURE = "violates PodSecurity"  # of a rejected pod; waiting changes other reasons, such as the quota
_NO_SPEC = ("InvalidSpec", "BlockedByFailedLoad")


@dataclass(frozen=True)
class Serving:
    """What an InferenceService does. `ready` of `wanted` pods of the newest version are ready.

    `versions` counts the ready pods by the version that they serve. `reason` is what a pod waits for, or why
    it failed; `failure` is set for a container that failed, `pod` is its pod. `states` are those of the pods,
    in the words of Kubernetes.
    """

    state: ServingState
    ready: int = 0
    wanted: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    pod: str = ""
    failure: Failure | None = None
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Parts:
    """Everything that belongs to InferenceServices of a namespace."""

    services: Sequence[Object]
    deployments: Sequence[Object]
    sets: Sequence[Object]
    pods: Sequence[Object]


def parts_of(kube: Kube, namespace: str, name: str = "") -> Parts:
    """Read one InferenceService, or all of a namespace, with what belongs to them. At most four requests."""
    if name:
        found = kube.get(API, KIND, name, namespace)
        services = [found] if found else []
    else:
        services = kube.list(API, KIND, namespace)
    if not services:
        return Parts((), (), (), ())
    labels = f"{LABEL}={name}" if name else LABEL
    return Parts(
        services,
        kube.list("apps/v1", "Deployment", namespace, labels=labels),
        kube.list("apps/v1", "ReplicaSet", namespace, labels=labels),
        kube.list("v1", "Pod", namespace, labels=labels),
    )


def uri_of(service: Object) -> str:
    return str((service["spec"]["predictor"].get("model") or {}).get("storageUri", ""))


def version_of(meta: Object) -> str:
    """The version that an InferenceService or one of its pods names; else the URI that the pod loads."""
    notes = meta.get("annotations") or {}
    return str(notes.get(MODEL_VERSION) or notes.get(_SOURCE, ""))


def model_of(service: Object) -> str:
    """The registered model; '' if the object does not name it."""
    return str((service["metadata"].get("annotations") or {}).get(MODEL, ""))


def canaries_of(service: Object) -> dict[str, int]:
    """The canaries by the name of their predictor, with their share of the requests in percent."""
    entries: Sequence[Object] = service["spec"].get("canary") or []
    return {each["predictor"].get("name", ""): int(each.get("trafficPercent", 0)) for each in entries}


def canary_pods(service: Object) -> int:
    """The pods that the canaries name. KServe takes them off `minReplicas` of the stable predictor."""
    return sum(int(each["predictor"].get("minReplicas") or 0) for each in service["spec"].get("canary") or [])


def _least(service: Object) -> int:
    """The pods that the predictor must have: predictor.go of KServe 0.20, reconcileRawDeployment."""
    entries = service["spec"].get("canary") or []
    least = int(service["spec"]["predictor"].get("minReplicas") or 0)
    shared = [each for each in entries if not each["predictor"].get("minReplicas")]
    taken = canary_pods(service)
    taken += sum(math.ceil(least * int(each.get("trafficPercent", 0)) / 100) for each in shared)
    return max(1, least - taken) if entries and least else least


def serving(service: Object, parts: Parts, now: datetime, canary: str = "") -> Serving:
    """The state of one InferenceService, or of one of its canaries."""
    if canary:
        entries = service["spec"].get("canary") or []
        named = [each["predictor"] for each in entries if each["predictor"].get("name") == canary]
        service = {**service, "spec": {"predictor": named[0] if named else {"name": canary}}}
    meta = service["metadata"]
    deployment = _predictor(service, parts)
    if deployment is None and canary:  # the object is old, the canary is not
        return Serving("starting", reason="its pods are not made yet")
    if deployment is None:
        gone: ServingState = "stopping" if "deletionTimestamp" in meta else "starting"
        return _without_pods(service, gone, now)
    own = [p for p in pods_of(deployment, parts.pods) if not _over(p)]
    current = newest(deployment, [s for s in parts.sets if _owned(s, deployment)], own)
    if not _seen(service, deployment):
        current = []
    ready = sum(pod_state(pod) is None for pod in current)
    wanted = int(deployment["spec"].get("replicas", 1))
    versions = _versions(own)
    old = sum(versions.values()) - ready
    if "deletionTimestamp" in meta:
        return Serving("stopping", ready, wanted, versions)
    if ready >= wanted and not old and _seen(service, deployment):
        return Serving("ready", ready, wanted, versions)
    pod, reason, failure = _trouble(deployment, current)
    insecure = not current and _INSECURE in refused(deployment)
    failed = insecure or (failure and not ready)
    state: ServingState = "failed" if failed else "updating" if old else "starting"
    states = tuple(_states(deployment, current))
    return Serving(state, ready, wanted, versions, reason, pod, failure, states)


def _predictor(service: Object, parts: Parts) -> Object | None:
    """The Deployment of the predictor; a canary has one of its own."""
    meta, predictor = service["metadata"], service["spec"]["predictor"]
    own = predictor.get("name", "")
    name = f"{meta['name']}-{own}-predictor" if own else f"{meta['name']}-predictor"
    return next((d for d in parts.deployments if d["metadata"]["name"] == name), None)


def _over(pod: Object) -> bool:
    """Return whether a pod ends, or was evicted: another one has taken its place."""
    return "deletionTimestamp" in pod["metadata"] or pod.get("status", {}).get("phase") == "Failed"


def _owned(each: Object, owner: Object) -> bool:
    uid = owner["metadata"]["uid"]
    return any(o["uid"] == uid for o in each["metadata"].get("ownerReferences") or [])


def _seen(service: Object, deployment: Object) -> bool:
    """Return whether the Deployment has what the InferenceService names, and its controller has seen it."""
    meta, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]["metadata"].get("annotations") or {}
    # A canary has annotations of its own, which replace those of the object.
    owners = (service["metadata"], service["spec"]["predictor"])
    digest = {k: v for each in owners for k, v in (each.get("annotations") or {}).items()}.get(DIGEST, "")
    observed = int(deployment.get("status", {}).get("observedGeneration", 0))
    return bool(
        observed >= int(meta.get("generation", 0))
        and template.get(_SOURCE, "") == uri_of(service)
        and template.get(DIGEST, "") == digest
        and spec.get("replicas", 1) >= _least(service)
    )


def _versions(pods: Sequence[Object]) -> dict[str, int]:
    found: dict[str, int] = {}
    for pod in pods:
        if pod_state(pod) is None:
            version = version_of(pod["metadata"])
            found[version] = found.get(version, 0) + 1
    return dict(sorted(found.items()))


def _without_pods(service: Object, state: ServingState, now: datetime) -> Serving:
    """The state while there is no Deployment: the controller has not seen it, or rejects it."""
    status = (service.get("status") or {}).get("modelStatus") or {}
    failed = status.get("lastFailureInfo") or {}
    if status.get("transitionStatus") in _NO_SPEC and failed:
        return Serving("failed", reason=failed.get("message") or failed.get("reason", ""))
    made = datetime.fromisoformat(service["metadata"]["creationTimestamp"])
    why = _unreconciled(service)
    if state == "starting" and (now - made).total_seconds() > _SLOW_SECONDS:
        nothing = f"no pods are made for it: nothing loads {uri_of(service)}, or the controller does not run"
        return Serving("failed", reason=why or nothing)
    return Serving(state, reason=why or "its pods are not made yet")


def _unreconciled(service: Object) -> str:
    """The controller's reason for which it cannot make what belongs to the object; '' if it has none."""
    for each in (service.get("status") or {}).get("conditions") or []:
        if each["type"] == "Ready" and each.get("reason") == "ReconcileFailed":
            return str(each.get("message", "")).removeprefix("fails to reconcile predictor: ")
    return ""


def _trouble(deployment: Object, pods: Sequence[Object]) -> tuple[str, str, Failure | None]:
    """The pod that is furthest from being ready, what it waits for, and its failure."""
    found = [(pod["metadata"]["name"], *each) for pod in pods if (each := _pod_trouble(pod))]
    failed = [each for each in found if each[2]]
    if failed or found:
        return (failed or found)[0]
    why = refused(deployment)
    return "", quota_words(why) if why else "its pod is not made yet", None


def _states(deployment: Object, pods: Sequence[Object]) -> Iterator[State]:
    yield from (state for pod in pods if (state := pod_state(pod)))
    if not pods and (why := refused(deployment)):
        meta = deployment["metadata"]
        yield State("deployment", meta["name"], meta["uid"], "FailedCreate", quota_words(why))


def _pod_trouble(pod: Object) -> tuple[str, Failure | None] | None:
    if pod_state(pod) is None:
        return None
    if text := unscheduled(pod):
        return text, None
    status = pod.get("status", {})
    for container in _containers(status):
        failure = failure_of(container)
        if failure:
            return failure.line or str(failure), failure
        if text := waiting_words(container):
            return text, None
    return _phase(status), None


def _containers(status: Object) -> Iterator[Object]:
    for key in ("initContainerStatuses", "containerStatuses"):
        yield from (each for each in status.get(key) or [] if not each.get("ready"))


def _phase(status: Object) -> str:
    """What a pod without a failure does."""
    loaders = {each["name"]: each.get("state") or {} for each in status.get("initContainerStatuses") or []}
    if "running" in loaders.get(_LOADER, {}):
        return "fetching the model"
    if any("running" in (each.get("state") or {}) for each in status.get("containerStatuses") or []):
        return "loading the model"
    return STARTS
