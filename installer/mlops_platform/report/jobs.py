"""Jobs of a project as screens show them: state in words, age, reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.batch import Found, Work, find, pods_of, work
from mlops_platform.run.project import ProjectContext

_READ_LOGS = 10  # newest failed jobs whose reason is read from their logs


@dataclass(frozen=True)
class Row:
    """A job. `state` is a word, `active` of `wanted` pods run; `reason` is why it waits or failed."""

    name: str
    kind: str
    state: str
    active: int
    wanted: int
    reason: str
    since: str

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def words(self) -> str:
        """'running 1 of 2', 'waiting for quota', 'failed'"""
        if self.state in ("running", "starting"):
            return f"{self.state} {self.active} of {self.wanted}"
        return {"waiting": "waiting for quota"}.get(self.state, self.state)


def rows_of(context: ProjectContext, project: str) -> list[Row]:
    """The jobs of a project, the newest first."""
    kube = context.clients.kube
    found = find(kube, project)
    jobs = sorted(found.jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]), reverse=True)
    states = [work(job, found) for job in jobs]
    silent = [i for i, each in enumerate(states) if each.failure and not each.failure.text][:_READ_LOGS]
    return [
        _row(job, each, _last_line(kube, project, job, found) if i in silent else "")
        for i, (job, each) in enumerate(zip(jobs, states, strict=True))
    ]


def _row(job: Mapping[str, Any], found: Work, line: str) -> Row:
    meta = job["metadata"]
    reason = ": ".join(filter(None, (found.reason, line)))
    since = meta["creationTimestamp"]
    return Row(meta["name"], job["kind"], found.state, found.active, found.wanted, reason, since)


def _last_line(kube: Kube, project: str, job: Mapping[str, Any], found: Found) -> str:
    """The last line that the failed pod wrote, where its container leaves no message."""
    for pod in pods_of(job, found.pods):
        if pod["status"].get("phase") != "Failed":
            continue
        try:
            text = kube.logs(project, pod["metadata"]["name"], tail=1)
        except KubeError as error:
            if error.status in (400, 404):  # it never ran, or is gone by now
                return ""
            raise
        return text.strip()
    return ""
