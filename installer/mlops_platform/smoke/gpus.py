"""The smoke test of GPUs: a pod of a project gets one, and neither more than its quota nor than there are.

On nodes with hardware the pod runs `nvidia-smi`. An empty node pool is not started for it, except on request.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.namespaces import PASSING
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import SmokeError, UsageError, WaitTimedOut
from mlops_platform.base.labels import GPU, TRAINER
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.checks import GPUS
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.smoke.canary import PROBE_IMAGE
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec, scripts_of
from mlops_platform.steps.projects.cluster import apply, wait_for_quota
from mlops_platform.steps.projects.model import Project, Quota
from mlops_platform.steps.projects.objects import objects_of

SKIPPED = "skipped: pool is empty; --wake-gpus starts a node"
_PURPOSE = "smoke-gpus"
_SECONDS = 120.0
_NODE_SECONDS = 900.0  # a new node with its driver
# Device plugins of hardware mount the driver's programs into the container.
_SCRIPT = """
import os, subprocess, threading
simulated = os.environ.get("SIMULATED_GPUS")
if simulated:
    print("GPU", simulated, flush=True)
else:
    found = subprocess.run(["nvidia-smi", "-L"], check=True, capture_output=True, text=True)
    print("GPU", found.stdout, flush=True)
threading.Event().wait()
"""


@dataclass(frozen=True)
class GpusTest:
    """A pod with a GPU runs; a second one is over the quota; one with too many waits."""

    context: Context
    wake: bool = False
    name: str = GPUS
    id: str = f"{GPUS}/smoke"
    layer: str = "nodes"
    what: str = "run a pod with a GPU"

    @cached_property
    def digest(self) -> str:
        return short_digest([Path(__file__).read_text(), self.context.cluster.simulated])

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        there = allocatable(kube)
        if not there and not self.wake:
            progress.note(SKIPPED)
            return []
        with _project(self.context, kube) as namespace:
            return list(self._probes(kube, progress, namespace, there))

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = [result for result in results if not result.ok]
        return SmokeError(
            f"gpus: {len(failed)} of {len(results)} tests failed",
            why="\n".join(f"{result.name}: {result.detail}" for result in failed),
            hint="look at the nodes and their device plugin, and run smoke again",
            command=self.context.clients.kube.kubectl("describe", "nodes"),
        )

    def _probes(self, kube: Kube, progress: Progress, namespace: str, there: int) -> Iterator[Result]:
        kind = "a simulated GPU" if self.context.cluster.simulated else "a GPU"
        seconds = _SECONDS if there else _NODE_SECONDS

        def wait(what: str, seen: Callable[[], bool | Pending]) -> str:
            try:
                command = kube.kubectl("--namespace", namespace, "describe", "pods")
                cancel = self.context.cancel
                wait_until(what, seen, seconds=seconds, cancel=cancel, on_seen=progress.say, command=command)
            except WaitTimedOut as error:
                return error.why or error.what
            return ""

        def running() -> bool | Pending:
            pod = kube.get("v1", "Pod", "one", namespace) or {}
            phase = pod.get("status", {}).get("phase", "")
            text = kube.logs(namespace, "one") if phase in ("Running", "Failed") else ""
            return "GPU " in text or Pending(f"pod with {kind}: {phase} {text[-200:]}".strip())

        def waiting() -> bool | Pending:
            pod = kube.get("v1", "Pod", "many", namespace) or {}
            said = [c.get("message", "") for c in pod.get("status", {}).get("conditions") or []]
            return any(f"Insufficient {GPU}" in each for each in said) or Pending("; ".join(said))

        started = time.monotonic()
        kube.create(self._pod(namespace, "one", 1))
        detail = wait("a pod with a GPU", running)
        yield Result(f"a pod with {kind} runs", not detail, detail, round(time.monotonic() - started, 3))
        detail = self._over_quota(kube, namespace)
        yield Result(f"refused: a second pod with {kind}, quota 1", not detail, detail, negative=True)
        if self.context.cluster.simulated:  # where pools grow, it would start a node
            _set_quota(self.context, kube, namespace, there + 2)
            kube.create(self._pod(namespace, "many", there + 1))
            detail = wait("a pod with too many GPUs", waiting)
            name = f"refused: a node for a pod with {there + 1} GPUs, of {there}"
            yield Result(name, not detail, detail, negative=True)

    def _over_quota(self, kube: Kube, namespace: str) -> str:
        """What is wrong if the API server does not refuse a second pod because of the quota."""
        try:
            kube.create(self._pod(namespace, "two", 1))
        except KubeError as error:
            return "" if error.status == 403 and "exceeded quota" in error.why else error.why
        return "it was allowed"

    def _pod(self, namespace: str, name: str, gpus: int) -> dict[str, Any]:
        job = _job(self.context, namespace)
        spec = pod_spec(job)
        spec["containers"][0]["resources"]["limits"][GPU] = str(gpus)
        spec["tolerations"] = [{"key": GPU, "operator": "Exists"}]
        meta = {"name": name, "namespace": namespace}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def require_gpus(context: Context) -> None:
    """Raises UsageError if no node of the environment can have a GPU."""
    if not context.cluster.has_gpus:
        hint = "add a pool of GPUs, or `simulated_gpus: 4` to the section `cluster` of a host cluster"
        raise UsageError(f"{context.environment.name} has no GPUs to test", hint=hint)


def allocatable(kube: Kube) -> int:
    """The GPUs of all nodes that pods can have."""
    nodes = kube.list("v1", "Node")
    return sum(int(node["status"].get("allocatable", {}).get(GPU, 0)) for node in nodes)


@contextmanager
def _project(context: Context, kube: Kube) -> Iterator[str]:
    """A project with a quota of one GPU, for the duration of the block."""
    for old in kube.metadata("v1", "Namespace", labels=f"{PASSING}={_PURPOSE}"):
        kube.delete("v1", "Namespace", old["metadata"]["name"])
    name = f"{_PURPOSE}-{secrets.token_hex(3)}"
    try:
        _set_quota(context, kube, name, 1)
        kube.apply(scripts_of(_job(context, name)))
        yield name
    finally:
        kube.delete("v1", "Namespace", name)


def _job(context: Context, namespace: str) -> ScriptJob:
    image, variables = context.images.reference(PROBE_IMAGE), {"NVIDIA_DRIVER_CAPABILITIES": "utility"}
    scripts = {"gpu.py": _SCRIPT}
    return ScriptJob("gpu", namespace, image, scripts, env=variables, memory="64Mi", account=TRAINER)


def _set_quota(context: Context, kube: Kube, name: str, gpus: int) -> None:
    project = Project(name, quota=Quota.of({"gpu": str(gpus)}))
    apply(kube, objects_of(context, project, {PASSING: _PURPOSE}))
    wait_for_quota(context, kube, name)
