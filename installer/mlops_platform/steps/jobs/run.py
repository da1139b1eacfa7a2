"""A script run as a Kubernetes Job: created, waited for, its log read, then deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.patience import Patience
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.process import tail
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import DIGEST
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.scripts import JobSpec
from mlops_platform.engine.graph import Difference
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.jobs.manifest import ScriptJob, job_of, scripts_of

_GOING_SECONDS = 60.0
_LONGEST_POLL, _FOLLOW_POLL = 0.25, 1.0


class JobFailed(StepError):
    """The script ended with an error, or could not be started; `log` is its whole output."""

    log = ""


def run_job(
    kube: Kube,
    job: ScriptJob,
    progress: Progress,
    cancel: Cancel,
    *,
    keep: bool = False,
    follow: int = 0,
) -> str:
    """Run the Job and return its log. Raises JobFailed with the log's end, WaitTimedOut, Interrupted.

    With `keep` a successful Job stays as the record that it ran; it has its digest. With `follow` so many
    last lines of its log are its progress.
    """
    _clear(kube, job, cancel)
    kube.apply(scripts_of(job))
    created = kube.create(job_of(job, keep=keep))
    succeeded = False
    try:
        log = wait_for_end(kube, job, created, progress.say, cancel, follow=follow)
        succeeded = True
        return log
    finally:
        if not (keep and succeeded):
            _delete(kube, job, "Background")


def start_job(kube: Kube, job: ScriptJob, *, kept_seconds: int) -> Mapping[str, Any]:
    """Start a Job that goes on if this command ends. It stays for `kept_seconds` after its end.

    Its ConfigMap belongs to it, and is deleted with it. A name that another Job has is a KubeError 409.
    """
    created = kube.create(job_of(job, keep=False, kept_seconds=kept_seconds))
    try:
        kube.create(scripts_of(job, owner=created["metadata"]["uid"]))
    except BaseException:
        _delete(kube, job, "Background")  # its pod would wait for the ConfigMap
        raise
    return created


def wait_for_end(
    kube: Kube,
    job: ScriptJob,
    created: Mapping[str, Any],
    say: Callable[[str], None],
    cancel: Cancel,
    *,
    follow: int = 0,
) -> str:
    """Wait for the end of a Job and return its log. Raises JobFailed, WaitTimedOut, Interrupted."""
    patience = Patience()
    pod = wait_until(
        f"job {job.name}",
        lambda: _finished(kube, job, created, patience, follow=follow),
        seconds=job.seconds + _GOING_SECONDS,
        cancel=cancel,
        on_seen=say,
        longest_delay=_FOLLOW_POLL if follow else _LONGEST_POLL,
        command=kube.kubectl("--namespace", job.namespace, "describe", "job", job.name),
    )
    log = _log(kube, job, pod)
    if _ended(pod).get("exitCode") != 0:
        raise _failed(kube, job, pod, log)
    return log


def job_of_component(resolved: ResolvedComponent, job: JobSpec) -> ScriptJob:
    """The manifest of one of a component's jobs."""
    return ScriptJob(
        name=f"{resolved.name}-{job.name}",
        namespace=resolved.namespace,
        image=resolved.reference(job.image),
        scripts={job.script: resolved.text(job.script)},
        arguments=(job.name,),
        secrets={resolved.secret(key): key for key in job.secrets},
        env=substitute(job.env, resolved.variables),
        memory=job.memory,
        seconds=job.seconds,
        audience=resolved.audience if job.identity else "",
        token=job.token,
    )


@dataclass(frozen=True)
class RunJob(ComponentStep):
    """A Job that must complete before the release rolls; a digest on the Job records that it ran."""

    job: JobSpec

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/{self.job.name}"

    def observe(self) -> Difference | None:
        wanted = job_of_component(self.resolved, self.job)
        found = self.context.clients.kube.get("batch/v1", "Job", wanted.name, wanted.namespace)
        if not found:
            return Difference("run")
        if (found["metadata"].get("annotations") or {}).get(DIGEST) != wanted.digest:
            return Difference("run again: it changed")
        done = any(c["type"] == "Complete" and c["status"] == "True" for c in _conditions(found))
        return None if done else Difference("run again: it did not end")

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        run_job(kube, job_of_component(self.resolved, self.job), progress, self.context.cancel, keep=True)


def _clear(kube: Kube, job: ScriptJob, cancel: Cancel) -> None:
    """Delete an earlier Job of this name, and its pods: two at once would disturb each other."""
    if not _delete(kube, job, "Foreground"):
        return

    def gone() -> bool | Pending:
        found = kube.get("batch/v1", "Job", job.name, job.namespace)
        return Pending("the earlier Job is still terminating") if found else True

    wait_until(f"end of an earlier job {job.name}", gone, seconds=_GOING_SECONDS, cancel=cancel)


def _delete(kube: Kube, job: ScriptJob, propagation: str) -> bool:
    kube.delete("v1", "ConfigMap", job.name, job.namespace)
    return kube.delete("batch/v1", "Job", job.name, job.namespace, propagation=propagation)


def _finished(
    kube: Kube, job: ScriptJob, created: Mapping[str, Any], patience: Patience, *, follow: int
) -> dict[str, Any] | Pending:
    """The pod once its container has ended: the phase of the pod shows it a second later, the Job two.

    Found by the Job's uid: a pod of an earlier Job of this name may still be terminating.
    """
    uid = created["metadata"]["uid"]
    pods = kube.list("v1", "Pod", job.namespace, labels=f"batch.kubernetes.io/controller-uid={uid}")
    for pod in pods:
        if _ended(pod) or pod["status"].get("phase") == "Failed":
            return pod
        state = pod_state(pod)
        if state and patience.exhausted([state]):
            raise _unstartable(kube, job, str(state))
        if state is None and follow:
            return Pending(
                kube.logs(job.namespace, pod["metadata"]["name"], tail=follow).strip() or "running"
            )
        return Pending(str(state) if state else "running")
    return Pending(_podless(kube, job))


def _ended(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The `terminated` state of its one container; empty while it runs."""
    for container in pod["status"].get("containerStatuses") or []:
        found: Mapping[str, Any] = container.get("state", {}).get("terminated") or {}
        return found
    return {}


def _log(kube: Kube, job: ScriptJob, pod: Mapping[str, Any]) -> str:
    """The pod's log; '' if the container never ran, as after an eviction."""
    if not _ended(pod).get("containerID"):
        return ""
    return kube.logs(job.namespace, pod["metadata"]["name"])


def _podless(kube: Kube, job: ScriptJob) -> str:
    """The reason why there is no pod yet. Raises JobFailed if there will be none."""
    found = kube.get("batch/v1", "Job", job.name, job.namespace)
    if found is None:
        raise _unstartable(kube, job, "it was deleted")
    for condition in _conditions(found):
        if condition["type"] == "Failed" and condition["status"] == "True":
            raise _unstartable(kube, job, condition.get("message", "failed"))
    rejected = [e for e in kube.events(job.namespace, about=job.name) if e.get("reason") == "FailedCreate"]
    if rejected:
        raise _unstartable(kube, job, rejected[-1].get("message", "no pod could be created"))
    return "no pod yet"


def _conditions(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions") or []
    return conditions


def _unstartable(kube: Kube, job: ScriptJob, why: str) -> JobFailed:
    command = kube.kubectl("--namespace", job.namespace, "get", "events")
    return JobFailed(f"job {job.name} cannot run", why=why, command=command)


def _failed(kube: Kube, job: ScriptJob, pod: Mapping[str, Any], log: str) -> JobFailed:
    ended = _ended(pod)
    reason = ended.get("reason") or pod["status"].get("reason") or "Error"
    how = f"exit {ended.get('exitCode', '?')}" if reason == "Error" else reason
    hint = "give it more memory in component.yaml" if reason == "OOMKilled" else ""
    if "deletionTimestamp" in pod["metadata"]:
        how = _why_deleted(kube, job)
    error = JobFailed(f"job {job.name} failed ({how})", why=tail(log) or "no output", hint=hint)
    error.log = log
    return error


def _why_deleted(kube: Kube, job: ScriptJob) -> str:
    """The reason a pod was deleted: the deadline of its Job, or a deletion."""
    found = kube.get("batch/v1", "Job", job.name, job.namespace) or {}
    late = any(c.get("reason") == "DeadlineExceeded" for c in _conditions(found))
    return f"still running after {job.seconds} s" if late else "its pod was deleted"
