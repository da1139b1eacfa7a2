"""The pods of jobs, and the states of their containers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JOB_LABELS = ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name")  # the first that is there
_ENDED = ("Succeeded", "Failed")


@dataclass
class Pod:
    """A pod of a job, as the API server reported it last."""

    project: str
    job: str
    name: str
    body: Mapping[str, Any]
    gone: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def states(self) -> dict[str, Mapping[str, Any]]:
        """The state of each container that has started."""
        status = self.body.get("status") or {}
        found = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        started = [each for each in found if {"running", "terminated"} & set(each.get("state") or {})]
        return {each["name"]: each["state"] for each in started}

    def ended(self, container: str) -> bool:
        """Tell whether the container has ended and will not start again."""
        state = self.states().get(container, {})
        over = (self.body.get("status") or {}).get("phase") in _ENDED
        never = self.body["spec"].get("restartPolicy") == "Never"
        return self.gone or ("terminated" in state and (over or never))

    def end(self, container: str) -> dict[str, Any]:
        ended = self.states().get(container, {}).get("terminated") or {}
        keys = ("exitCode", "reason", "startedAt", "finishedAt")
        return {key: ended[key] for key in keys if key in ended}


def pod_of(project: str, body: Mapping[str, Any]) -> Pod | None:
    """The pod of an object, if it belongs to a job."""
    labels = body["metadata"].get("labels") or {}
    job = next((labels[key] for key in JOB_LABELS if labels.get(key)), "")
    return Pod(project, job, body["metadata"]["name"], body) if job else None
