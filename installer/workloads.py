"""Owns running a script in the cluster: one Job, waited for by its pod, its log read, and then gone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from installer.adapters.kube import Kube
from installer.adapters.kube.namespaces import JOBS_ACCOUNT
from installer.adapters.kube.patience import Patience
from installer.adapters.kube.rollout import pod_state
from installer.adapters.process import tail
from installer.adapters.wait import Pending, wait_until
from installer.cancel import Cancel
from installer.catalog import Component, JobSpec
from installer.context import Context
from installer.engine.steps import Difference
from installer.errors import StepError
from installer.progress import Progress
from installer.releases import OWNED
from installer.valuetree import substitute
from installer.words import words

USER = 10001
DIGEST = "mlops-platform/digest"
_SCRIPTS, _SECRETS = "/scripts", "/run/secrets"
_GOING_SECONDS = 60.0
_KEPT_SECONDS = 600  # of a Job whose run was killed before it could delete it
_LONGEST_POLL = 0.25
# Not a field of Work: every Job that has run would have another digest, and run again.
_NODE = {"name": "NODE_ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}


@dataclass(frozen=True)
class Work:
    """A Python script and what it is given. `secrets` maps Secrets to folders below /run/secrets.

    It runs as an account that exists in every namespace of ours and has no token for the API server.

    The first of `scripts` (file name: text) is run with `arguments`; the others lie beside it.
    """

    name: str
    namespace: str
    image: str
    scripts: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    memory: str = "256Mi"
    seconds: int = 300
    audience: str = ""  # of a token of the account's, at /run/secrets/identity/token
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class JobFailed(StepError):
    """The script ended with an error, or could not be started; `log` is all it said."""

    log = ""


def run_job(kube: Kube, work: Work, progress: Progress, cancel: Cancel, *, keep: bool = False) -> str:
    """Run it and return its log. Raises JobFailed with the log's end, WaitTimedOut, Interrupted.

    With `keep` a Job that succeeded stays, as the record that it ran; `Work.digest` is on it.
    """
    _clear(kube, work, cancel)
    kube.apply(scripts_of(work))
    job = kube.create(_job(work, keep=keep))
    succeeded, patience = False, Patience()
    try:
        pod = wait_until(
            f"job {work.name}",
            lambda: _finished(kube, work, job, patience),
            seconds=work.seconds + _GOING_SECONDS,
            cancel=cancel,
            on_seen=progress.say,
            longest_delay=_LONGEST_POLL,
            command=kube.kubectl("--namespace", work.namespace, "describe", "job", work.name),
        )
        log = _log(kube, work, pod)
        if _ended(pod).get("exitCode") != 0:
            raise _failed(kube, work, pod, log)
        succeeded = True
        return log
    finally:
        if not (keep and succeeded):
            _delete(kube, work, "Background")


def component_work(context: Context, component: Component, job: JobSpec) -> Work:
    folder, known = context.catalog.folder(component.name), words(context, component)
    return Work(
        name=f"{component.name}-{job.name}",
        namespace=component.namespace,
        image=context.images.reference(job.image),
        scripts={job.script: (folder / job.script).read_text()},
        arguments=(job.name,),
        secrets={f"{component.name}-{name}": name for name in job.secrets},
        env=substitute(job.env, known),
        memory=job.memory,
        seconds=job.seconds,
        audience=audience(context) if job.identity else "",
    )


def audience(context: Context) -> str:
    """Whom a pod's token is for: the chosen secret store, by its name; '' when there is none."""
    return context.store.name if context.store else ""


def observe_job(context: Context, component: Component, job: JobSpec) -> Difference | None:
    work = component_work(context, component, job)
    found = context.bench.kube.get("batch/v1", "Job", work.name, work.namespace)
    if not found:
        return Difference("run")
    if (found["metadata"].get("annotations") or {}).get(DIGEST) != work.digest:
        return Difference("run again: it changed")
    done = any(c["type"] == "Complete" and c["status"] == "True" for c in _conditions(found))
    return None if done else Difference("run again: it did not end")


def run_component_job(
    context: Context, kube: Kube, component: Component, job: JobSpec, progress: Progress
) -> None:
    run_job(kube, component_work(context, component, job), progress, context.cancel, keep=True)


def _clear(kube: Kube, work: Work, cancel: Cancel) -> None:
    """An earlier Job of this name, and its pods: two at once would work against each other."""
    if not _delete(kube, work, "Foreground"):
        return

    def gone() -> bool | Pending:
        found = kube.get("batch/v1", "Job", work.name, work.namespace)
        return Pending("the earlier one still ends") if found else True

    wait_until(f"job {work.name} of an earlier run gone", gone, seconds=_GOING_SECONDS, cancel=cancel)


def _delete(kube: Kube, work: Work, propagation: str) -> bool:
    kube.delete("v1", "ConfigMap", work.name, work.namespace)
    return kube.delete("batch/v1", "Job", work.name, work.namespace, propagation=propagation)


def _finished(kube: Kube, work: Work, job: Mapping[str, Any], patience: Patience) -> dict[str, Any] | Pending:
    """The pod once its container has ended. The pod's phase says so a second later, the Job two.

    By the Job's uid: a pod of an earlier one of this name may still be on its way out, with its own end.
    """
    uid = job["metadata"]["uid"]
    pods = kube.list("v1", "Pod", work.namespace, labels=f"batch.kubernetes.io/controller-uid={uid}")
    for pod in pods:
        if _ended(pod) or pod["status"].get("phase") == "Failed":
            return pod
        state = pod_state(pod)
        if state and patience.exhausted([state]):
            raise _unstartable(kube, work, str(state))
        return Pending(str(state) if state else "running")
    return Pending(_podless(kube, work))


def _ended(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """How its one container ended; empty while it has not."""
    for container in pod["status"].get("containerStatuses") or []:
        found: Mapping[str, Any] = container.get("state", {}).get("terminated") or {}
        return found
    return {}


def _log(kube: Kube, work: Work, pod: Mapping[str, Any]) -> str:
    """'' of a container that never was, as when the node evicted the pod."""
    if not _ended(pod).get("containerID"):
        return ""
    return kube.logs(work.namespace, pod["metadata"]["name"])


def _podless(kube: Kube, work: Work) -> str:
    """Why there is no pod; raises when there will be none."""
    job = kube.get("batch/v1", "Job", work.name, work.namespace)
    if job is None:
        raise _unstartable(kube, work, "somebody deleted it")
    for condition in _conditions(job):
        if condition["type"] == "Failed" and condition["status"] == "True":
            raise _unstartable(kube, work, condition.get("message", "failed"))
    refusals = [e for e in kube.events(work.namespace, about=work.name) if e.get("reason") == "FailedCreate"]
    if refusals:
        raise _unstartable(kube, work, refusals[-1].get("message", "no pod could be made"))
    return "no pod yet"


def _conditions(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job.get("status", {}).get("conditions") or []
    return found


def _unstartable(kube: Kube, work: Work, why: str) -> JobFailed:
    command = kube.kubectl("--namespace", work.namespace, "get", "events")
    return JobFailed(f"job {work.name} cannot run", why=why, command=command)


def _failed(kube: Kube, work: Work, pod: Mapping[str, Any], log: str) -> JobFailed:
    ended = _ended(pod)
    reason = ended.get("reason") or pod["status"].get("reason") or "Error"
    how = f"exit {ended.get('exitCode', '?')}" if reason == "Error" else reason
    hint = "give it more memory in component.yaml" if reason == "OOMKilled" else ""
    if "deletionTimestamp" in pod["metadata"]:
        how = _why_deleted(kube, work)
    error = JobFailed(f"job {work.name} failed ({how})", why=tail(log) or "it said nothing", hint=hint)
    error.log = log
    return error


def _why_deleted(kube: Kube, work: Work) -> str:
    """Ended from outside, by its own deadline or by somebody."""
    job = kube.get("batch/v1", "Job", work.name, work.namespace) or {}
    late = any(c.get("reason") == "DeadlineExceeded" for c in _conditions(job))
    return f"still running after {work.seconds} s" if late else "somebody deleted its pod"


def _meta(work: Work) -> dict[str, Any]:
    return {"name": work.name, "namespace": work.namespace, "labels": OWNED}


def scripts_of(work: Work) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta(work), "data": dict(work.scripts)}


def _job(work: Work, *, keep: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": work.seconds,
        "template": {"metadata": {"labels": {**OWNED, **work.labels}}, "spec": pod_spec(work)},
    }
    if not keep:
        spec["ttlSecondsAfterFinished"] = _KEPT_SECONDS
    meta = {**_meta(work), "annotations": {DIGEST: work.digest}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec}


def pod_spec(work: Work) -> dict[str, Any]:
    """As restricted as pod security asks for; nothing to write to but /tmp. It is told its node's address."""
    main = next(iter(work.scripts))
    mounts = [
        {"name": "scripts", "mountPath": _SCRIPTS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "scripts", "configMap": {"name": work.name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    for secret, folder in work.secrets.items():
        mounts.append({"name": folder, "mountPath": f"{_SECRETS}/{folder}", "readOnly": True})
        volumes.append({"name": folder, "secret": {"secretName": secret, "defaultMode": 0o440}})
    if work.audience:
        token = {"path": "token", "audience": work.audience, "expirationSeconds": 600}
        projected = {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]}
        mounts.append({"name": "identity", "mountPath": f"{_SECRETS}/identity", "readOnly": True})
        volumes.append({"name": "identity", "projected": projected})
    return {
        "restartPolicy": "Never",
        "serviceAccountName": JOBS_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "script",
                "image": work.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", f"{_SCRIPTS}/{main}", *work.arguments],
                "env": [{"name": "HOME", "value": "/tmp"}, _NODE]  # noqa: S108
                + [{"name": name, "value": value} for name, value in work.env.items()],
                "resources": {
                    "requests": {"cpu": "50m", "memory": work.memory},
                    "limits": {"memory": work.memory},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
