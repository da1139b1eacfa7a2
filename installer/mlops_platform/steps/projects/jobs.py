"""Jobs of projects: one is found by its name, its logs are read, it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.batch import JOB, TRAIN, pods_of, work
from mlops_platform.adapters.kube.batch import find as find_all
from mlops_platform.adapters.stored_logs import StoredLogs
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.humanize import plural
from mlops_platform.run.project import ProjectContext
from mlops_platform.steps.projects.servers import reached

Object = Mapping[str, Any]

_GONE_SECONDS = 120.0
_START_SECONDS = 3600.0  # a job may wait for its queue
_KINDS = {kind.lower(): (api, kind) for api, kind in (TRAIN, JOB)}
_NOT_YET = (400, 404)  # the container has not started, or the pod is gone


@dataclass(frozen=True)
class Source:
    """The log of one container of a job's pod."""

    pod: str
    container: str

    def __str__(self) -> str:
        return f"{self.pod}/{self.container}"


def find(kube: Kube, project: str, name: str) -> Object | None:
    """The job `NAME`, or `trainjob/NAME` and `job/NAME`. Raises UsageError if there are two."""
    word, slash, rest = name.partition("/")
    if slash and word.lower() not in _KINDS:
        raise UsageError(f"{name}: not a job", hint="write NAME, trainjob/NAME or job/NAME")
    kinds = [_KINDS[word.lower()]] if slash else list(_KINDS.values())
    found = [each for api, kind in kinds if (each := kube.get(api, kind, rest or name, project))]
    if len(found) > 1:
        raise UsageError(
            f"{name} is a {found[0]['kind']} and a {found[1]['kind']}",
            hint=f"write {found[0]['kind'].lower()}/{name} or {found[1]['kind'].lower()}/{name}",
        )
    return found[0] if found else None


def sources(kube: Kube, project: str, job: Object) -> list[Source]:
    """The containers of its pods that have started, in the order of the pods' creation."""
    found = []
    for pod in pods_of(job, kube.list("v1", "Pod", project)):
        status = pod["status"]
        for key in ("initContainerStatuses", "containerStatuses"):
            for each in status.get(key) or []:
                if "waiting" not in (each.get("state") or {}) or each.get("restartCount"):
                    found.append(Source(pod["metadata"]["name"], each["name"]))
    return found


def wait_started(kube: Kube, project: str, job: Object, say: Callable[[str], None]) -> list[Source]:
    """Wait until a container of the job has started. Raises WaitTimedOut; StepError if the job has ended."""
    meta = job["metadata"]

    def started() -> list[Source] | Pending:
        if found := sources(kube, project, job):
            return found
        now = find_all(kube, project)
        each = next((j for j in now.jobs if j["metadata"]["uid"] == meta["uid"]), None)
        state = work(each, now) if each else None
        if state is None or state.state in ("complete", "failed"):
            raise StepError(f"{meta['name']} has ended, and its pods are gone")
        return Pending(": ".join(filter(None, (state.state, state.reason))))

    return wait_until(f"start of {meta['name']}", started, seconds=_START_SECONDS, on_seen=say)


def lines(kube: Kube, project: str, source: Source, tail: int) -> Iterator[str]:
    """The lines of a log; none if it is gone by now."""
    try:
        yield from kube.logs(project, source.pod, container=source.container, tail=tail).splitlines()
    except KubeError as error:
        if error.status not in _NOT_YET:
            raise


@contextmanager
def stored(context: ProjectContext, project: str) -> Iterator[StoredLogs | None]:
    """The stored logs of a project for the block; None if no component keeps logs. Raises StepError."""
    for each in context.components:
        if each.projects and each.projects.job_logs:
            with reached(context, project, each, each.projects.job_logs) as (url, token):
                yield StoredLogs(url, project, token)
            return
    yield None


def bare(name: str) -> str:
    """The name without `trainjob/` or `job/`."""
    return name.rpartition("/")[2]


def stop(kube: Kube, project: str, job: Object, say: Callable[[str], None]) -> None:
    """Delete a job, and wait until its pods are gone. Raises WaitTimedOut.

    The job itself goes first, then what belongs to it: a TrainJob that still exists makes a JobSet again.
    """
    meta = job["metadata"]
    kube.delete(job["apiVersion"], job["kind"], meta["name"], project, propagation="Background")

    def gone() -> bool | Pending:
        left = kube.get(job["apiVersion"], job["kind"], meta["name"], project)
        if left and left["metadata"]["uid"] == meta["uid"]:
            held = ", ".join(left["metadata"].get("finalizers") or []) or "none"
            return Pending(f"{job['kind']} is still there, finalizers: {held}")
        pods = pods_of(job, kube.list("v1", "Pod", project))
        return Pending(f"{plural(len(pods), 'pod')} left") if pods else True

    wait_until(
        f"end of {job['kind']} {meta['name']}",
        gone,
        seconds=_GONE_SECONDS,
        on_seen=say,
        command=kube.kubectl("--namespace", project, "get", "pods"),
    )
