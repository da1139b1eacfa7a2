"""Owns running a script in the cluster: one Job, waited for by its pod, its log read, and then gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.patience import Patience
from mlops_platform.adapters.kube.rollout import pod_state
from mlops_platform.adapters.process import tail
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Component, JobSpec
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.variables import template_variables
from mlops_platform.steps.jobs.manifest import DIGEST, ScriptJob, job_of, scripts_of

_GOING_SECONDS = 60.0
_LONGEST_POLL = 0.25


class JobFailed(StepError):
    """The script ended with an error, or could not be started; `log` is all it said."""

    log = ""


def run_job(kube: Kube, work: ScriptJob, progress: Progress, cancel: Cancel, *, keep: bool = False) -> str:
    """Run it and return its log. Raises JobFailed with the log's end, WaitTimedOut, Interrupted.

    With `keep` a Job that succeeded stays, as the record that it ran; `Work.digest` is on it.
    """
    _clear(kube, work, cancel)
    kube.apply(scripts_of(work))
    job = kube.create(job_of(work, keep=keep))
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


def component_work(context: Context, component: Component, job: JobSpec) -> ScriptJob:
    folder, known = context.catalog.folder(component.name), template_variables(context, component)
    return ScriptJob(
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
    found = context.clients.kube.get("batch/v1", "Job", work.name, work.namespace)
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


def _clear(kube: Kube, work: ScriptJob, cancel: Cancel) -> None:
    """An earlier Job of this name, and its pods: two at once would work against each other."""
    if not _delete(kube, work, "Foreground"):
        return

    def gone() -> bool | Pending:
        found = kube.get("batch/v1", "Job", work.name, work.namespace)
        return Pending("the earlier one still ends") if found else True

    wait_until(f"job {work.name} of an earlier run gone", gone, seconds=_GOING_SECONDS, cancel=cancel)


def _delete(kube: Kube, work: ScriptJob, propagation: str) -> bool:
    kube.delete("v1", "ConfigMap", work.name, work.namespace)
    return kube.delete("batch/v1", "Job", work.name, work.namespace, propagation=propagation)


def _finished(
    kube: Kube, work: ScriptJob, job: Mapping[str, Any], patience: Patience
) -> dict[str, Any] | Pending:
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


def _log(kube: Kube, work: ScriptJob, pod: Mapping[str, Any]) -> str:
    """'' of a container that never was, as when the node evicted the pod."""
    if not _ended(pod).get("containerID"):
        return ""
    return kube.logs(work.namespace, pod["metadata"]["name"])


def _podless(kube: Kube, work: ScriptJob) -> str:
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


def _unstartable(kube: Kube, work: ScriptJob, why: str) -> JobFailed:
    command = kube.kubectl("--namespace", work.namespace, "get", "events")
    return JobFailed(f"job {work.name} cannot run", why=why, command=command)


def _failed(kube: Kube, work: ScriptJob, pod: Mapping[str, Any], log: str) -> JobFailed:
    ended = _ended(pod)
    reason = ended.get("reason") or pod["status"].get("reason") or "Error"
    how = f"exit {ended.get('exitCode', '?')}" if reason == "Error" else reason
    hint = "give it more memory in component.yaml" if reason == "OOMKilled" else ""
    if "deletionTimestamp" in pod["metadata"]:
        how = _why_deleted(kube, work)
    error = JobFailed(f"job {work.name} failed ({how})", why=tail(log) or "it said nothing", hint=hint)
    error.log = log
    return error


def _why_deleted(kube: Kube, work: ScriptJob) -> str:
    """Ended from outside, by its own deadline or by somebody."""
    job = kube.get("batch/v1", "Job", work.name, work.namespace) or {}
    late = any(c.get("reason") == "DeadlineExceeded" for c in _conditions(job))
    return f"still running after {work.seconds} s" if late else "somebody deleted its pod"
