"""TrainJobs of a project, and their stored logs, as the tests use them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel

TRAINJOB = ("trainer.kubeflow.org/v1alpha1", "TrainJob")
JOBSET = ("jobset.x-k8s.io/v1alpha2", "JobSet")
READER = ("job-logs", "service/job-logs", 8080)
_SECONDS = 180.0


def until(what: str, there: Callable[[], bool | Pending], *, seconds: float = _SECONDS) -> float:
    """Wait, and return the seconds."""
    started = time.monotonic()
    wait_until(what, there, seconds=seconds, cancel=Cancel(), longest_delay=0.25)
    return time.monotonic() - started


@dataclass(frozen=True)
class Jobs:
    """The TrainJobs of one project."""

    kube: Kube
    project: str

    def start(self, name: str, program: str, runtime: str = "python", nodes: int = 1, **spec: Any) -> None:
        trainer = {"numNodes": nodes, "command": ["python3", "-c", program]}
        self.kube.create(
            {
                "apiVersion": TRAINJOB[0],
                "kind": TRAINJOB[1],
                "metadata": {"name": name, "namespace": self.project},
                "spec": {"runtimeRef": {"name": runtime}, "trainer": trainer, **spec},
            }
        )

    def conditions(self, name: str) -> dict[str, dict[str, Any]]:
        """The conditions that are True, by type."""
        found = self.kube.get(*TRAINJOB, name, self.project) or {}
        conditions = (found.get("status") or {}).get("conditions") or []
        return {each["type"]: each for each in conditions if each["status"] == "True"}

    def wait(self, name: str, condition: str) -> float:
        """Wait for a condition, and return the seconds. No other end than the wanted one counts."""

        def there() -> bool | Pending:
            found = self.conditions(name)
            wrong = {"Complete", "Failed"} & found.keys() - {condition}
            assert not wrong, (found, self.last_lines(name))
            return condition in found or Pending(", ".join(found) or "no condition")

        return until(f"{name}: {condition}", there)

    def last_lines(self, name: str) -> dict[str, str]:
        pods = [pod["metadata"]["name"] for pod in self.pods(name)]
        return {pod: self.kube.logs(self.project, pod, tail=20) for pod in pods}

    def pods(self, name: str) -> list[dict[str, Any]]:
        return self.kube.list("v1", "Pod", self.project, labels=f"jobset.sigs.k8s.io/jobset-name={name}")

    def wait_running(self, name: str) -> None:
        until(
            f"{name} runs",
            lambda: (
                any(p["status"].get("phase") == "Running" for p in self.pods(name)) or Pending("no pod runs")
            ),
        )

    def delete(self, name: str) -> None:
        """Delete a TrainJob, and wait until its pods are gone."""
        self.kube.delete(*TRAINJOB, name, self.project)
        until(f"{name} is gone", lambda: not self.pods(name) or Pending("pods are there"))

    def restart(self, namespace: str, deployment: str) -> None:
        """Kill the pods of a controller, and wait until others are ready: its webhook refuses until then."""

        def pods() -> dict[str, dict[str, Any]]:
            found = {pod["metadata"]["name"]: pod for pod in self.kube.list("v1", "Pod", namespace)}
            return {name: pod for name, pod in found.items() if name.startswith(f"{deployment}-")}

        killed = pods()
        for name in killed:
            self.kube.delete("v1", "Pod", name, namespace, grace_seconds=0)

        def ready() -> bool | Pending:
            new = [pod["status"] for name, pod in pods().items() if name not in killed]
            states = {(c["type"], c["status"]) for status in new for c in status.get("conditions") or []}
            return ("Ready", "True") in states or Pending("not ready")

        until(f"{deployment} is ready", ready)


@dataclass(frozen=True)
class Logs:
    """The reader of job logs, through a port-forward."""

    kube: Kube
    address: str

    def get(self, path: str, *, account: tuple[str, str], audience: str = "job-logs") -> tuple[int, bytes]:
        """Status and body of a request with the token of an account."""
        token = self.kube.token(*account, audience)
        headers = {"Authorization": f"Bearer {token}"}
        request = Request(f"http://{self.address}/v1/projects/{quote(path, safe='/?=%')}", headers=headers)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            return error.code, error.read()

    def of(self, project: str, job: str, *, account: str = "server") -> list[dict[str, Any]]:
        status, body = self.get(f"{project}/jobs/{job}", account=(project, account))
        return list(json.loads(body)["logs"]) if status == 200 else []

    def texts(self, project: str, job: str, pods: int = 1, query: str = "") -> dict[str, bytes]:
        """The complete logs of a job by pod, when all its containers have ended."""

        def ended() -> bool | Pending:
            found = self.of(project, job)
            return (len(found) == pods and all(each["end"] is not None for each in found)) or Pending(
                str(found)
            )

        until(f"logs of {job}", ended)
        found = {}
        for each in self.of(project, job):
            path = f"{project}/jobs/{job}/pods/{each['pod']}/containers/{each['container']}{query}"
            status, body = self.get(path, account=(project, "server"))
            assert status == 200, body
            found[each["pod"]] = body
        return found


def refused(act: Callable[[], object], status: int = 403) -> str:
    """The message with which the API server refuses."""
    try:
        act()
    except KubeError as error:
        assert error.status == status, error
        return f"{error.what} {error.why}"
    raise AssertionError("it was allowed")
