"""Steps that remove a project: its workloads, what components have of it, and its namespace."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.client import Object
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.base import EnvironmentStep
from mlops_platform.steps.jobs.run import run_job
from mlops_platform.steps.projects import scripts
from mlops_platform.steps.projects.keep import LAYER
from mlops_platform.steps.projects.model import REMOVING
from mlops_platform.steps.projects.workloads import named, workloads

_SECONDS = 300.0
_STUCK_SECONDS = 20.0  # nothing goes away for so long: no controller is at work
_GRACE_SECONDS = 2
_REMAINING = re.compile(r"([a-z0-9]+)\.([-a-z0-9.]*) has [0-9]+ resource instances")


@dataclass(frozen=True)
class StopWorkloads(EnvironmentStep):
    """Record that the project is being removed, then delete what runs in it."""

    name: str

    path = "{0.name}/workloads"
    layer = LAYER

    def observe(self) -> Difference | None:
        kube = self.context.clients.kube
        namespace = kube.get("v1", "Namespace", self.name)
        if namespace is None:
            return None
        found = workloads(self.context, kube, self.name)
        if not found and REMOVING in (namespace["metadata"].get("annotations") or {}):
            return None
        return Difference(f"delete {named(found)}" if found else "mark it as being removed")

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        mark = {"metadata": {"annotations": {REMOVING: "true"}}}
        kube.patch("v1", "Namespace", self.name, body=mark)
        for each in workloads(self.context, kube, self.name):
            kube.delete(each["apiVersion"], each["kind"], each["metadata"]["name"], self.name)
        wait_gone(self.context, kube, self.name, self._left, progress)

    def _left(self, kube: Kube) -> list[Object]:
        """Workloads and pods that are left. Pods get a short grace period: their work is lost anyway."""
        pods = kube.list("v1", "Pod", self.name)
        for pod in pods:
            if pod["metadata"].get("deletionGracePeriodSeconds", _GRACE_SECONDS + 1) > _GRACE_SECONDS:
                name = pod["metadata"]["name"]
                kube.delete("v1", "Pod", name, self.name, grace_seconds=_GRACE_SECONDS)
        others = [each for each in workloads(self.context, kube, self.name) if each["kind"] != "Pod"]
        return [*others, *pods]


@dataclass(frozen=True)
class RemovePart(EnvironmentStep):
    """Run a component's script, which removes what it has of the project."""

    resolved: ResolvedComponent
    name: str
    keep_data: bool

    path = "{0.resolved.name}/projects"
    layer = LAYER

    def observe(self) -> Difference | None:
        return Difference(f"remove what is {self.name}'s" + (", except data" if self.keep_data else ""))

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        job = scripts.remove_job(self.resolved, self.name, keep_data=self.keep_data)
        for line in run_job(kube, job, progress, self.context.cancel).splitlines():
            progress.note(line)


@dataclass(frozen=True)
class RemoveNamespace(EnvironmentStep):
    """Delete the namespace, and wait until it is gone."""

    name: str

    path = "{0.name}/namespace"
    layer = LAYER

    def observe(self) -> Difference | None:
        found = self.context.clients.kube.get("v1", "Namespace", self.name)
        return Difference("delete it") if found else None

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        kube.delete("v1", "Namespace", self.name)
        wait_gone(self.context, kube, self.name, self._left, progress)

    def _left(self, kube: Kube) -> list[Object]:
        """The namespace, and the objects in it that still exist, as its conditions name them."""
        found = kube.get("v1", "Namespace", self.name)
        if found is None:
            return []
        messages = [c.get("message", "") for c in found.get("status", {}).get("conditions") or []]
        remaining = {pair for text in messages for pair in _REMAINING.findall(text)}
        inside: list[Object] = []
        for plural, group in sorted(remaining):
            served = kube.served(group).get(plural)
            inside += kube.list(served.api_version, served.kind, self.name) if served else []
        return [found, *inside]


def wait_gone(
    context: Context, kube: Kube, name: str, left: Callable[[Kube], list[Object]], progress: Progress
) -> None:
    """Wait until nothing is left. Raises StepError if only finalizers remain, and none of them is done."""
    seen, since = "", time.monotonic()

    def gone() -> bool | Pending:
        nonlocal seen, since
        found = left(kube)
        if not found:
            return True
        text = named(found)
        if text != seen:
            seen, since = text, time.monotonic()
        held = [each for each in found if each["metadata"].get("finalizers") and each["kind"] != "Namespace"]
        if held and time.monotonic() - since > _STUCK_SECONDS:
            raise _stuck(kube, name, held)
        return Pending(text)

    wait_until(
        f"end of project {name}",
        gone,
        seconds=_SECONDS,
        cancel=context.cancel,
        on_seen=progress.say,
        command=kube.kubectl("get", "namespace", name, "--output", "yaml"),
    )


def _stuck(kube: Kube, name: str, held: Sequence[Object]) -> StepError:
    lines = [
        f"{each['kind']} {each['metadata']['name']}: finalizer {', '.join(each['metadata']['finalizers'])}"
        for each in held
    ]
    first = held[0]
    group = first["apiVersion"].rpartition("/")[0]
    resource = f"{first['kind'].lower()}{f'.{group}' if group else ''}"
    patch = '{"metadata":{"finalizers":null}}'
    return StepError(
        f"project {name}: {len(held)} object{'s' * (len(held) > 1)} cannot be deleted",
        why="\n".join(lines),
        hint="start the controller of the finalizer, or remove the finalizer with the command below; then "
        "run `project remove` again",
        command=kube.kubectl(
            "--namespace",
            name,
            "patch",
            resource,
            first["metadata"]["name"],
            "--type",
            "merge",
            "--patch",
            patch,
        ),
    )
