"""Pods of tasks in the namespaces of projects: created, watched, their logs copied, then deleted."""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import requests
from airflow.utils.net import get_host_ip_address

LABEL = "mlops-platform/dag-task"
API_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
API_CERTIFICATE = API_TOKEN.with_name("ca.crt")
# A task may do in its project what its account may, such as train. Pods with the label may connect to the API
# server.
API_LABEL = "mlops-platform/api"
API_SOURCES = [
    {"serviceAccountToken": {"path": API_TOKEN.name, "expirationSeconds": 3600}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": API_CERTIFICATE.name}]}},
    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
]
LOGS = Path("/work/logs")
TIMEOUT = (3, 10)
STEP_SECONDS, LOG_SECONDS, RETRY_SECONDS = 1.0, 3.0, 5.0
MOST_LOG, LARGE_LOG = 10 * 1024 * 1024, 512 * 1024  # bytes of a log; a large one is copied less often
LARGE_LOG_SECONDS = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A try of a task: id of its instance, project, path of its log, version of the DAGs, Airflow's key."""

    id: str
    project: str
    log_path: str
    version: str
    key: Any = field(compare=False)

    @property
    def pod(self) -> str:
        return f"task-{self.id}"


@dataclass(frozen=True)
class Created:
    """A new task, with the JSON that its pod gets: Airflow's description of it, and the token."""

    task: Task
    workload: str = field(repr=False)


@dataclass(frozen=True)
class Adopted:
    """A task whose pod another process has created."""

    task: Task


@dataclass(frozen=True)
class Stopped:
    """A task that must not run any more."""

    task: Task


class Rejected(Exception):
    """An error status of the API server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status


class Api:
    """The API server, with the account of this pod."""

    def __init__(self) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._base, self._session = f"https://{host}:{port}/api/v1/namespaces", requests.Session()

    def __call__(self, method: str, path: str, body: Any = None, **query: str | int) -> requests.Response:
        headers = {"Authorization": f"Bearer {API_TOKEN.read_text()}"}
        answer = self._session.request(
            method,
            f"{self._base}/{path}",
            json=body,
            params=query,
            headers=headers,
            verify=str(API_CERTIFICATE),
            timeout=TIMEOUT,
        )
        if answer.status_code >= 400:
            raise Rejected(answer.status_code, _message(answer))
        return answer


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def manifest(task: Task) -> dict[str, Any]:
    """The pod. PROJECT_PODS is what all of them have in common."""
    common = json.loads(os.environ["PROJECT_PODS"])
    env = {
        "PROJECT": task.project,
        "LOG_SERVER": get_host_ip_address(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"],
        "HOME": "/work",
        "PYTHONPATH": "/opt/worker",
    }
    sources: dict[str, dict[str, Any]] = {
        "workload": {"secret": {"secretName": task.pod, "defaultMode": 0o440}},
        "tokens": {"projected": {"defaultMode": 0o440, "sources": common["tokens"]}},
        "api": {"projected": {"defaultMode": 0o440, "sources": API_SOURCES}},
        "code": {"configMap": {"name": f"dags-{task.version}"}},
        "work": {"emptyDir": {"sizeLimit": "2Gi"}},
        "tmp": {"emptyDir": {"sizeLimit": "1Gi"}},
    }
    folders = {
        "workload": "/run/secrets/workload",
        "tokens": "/var/run/secrets/tokens",
        "api": str(API_TOKEN.parent),
        "code": "/code",
        "work": "/work",
        "tmp": "/tmp",  # noqa: S108
    }
    container = {
        "name": "task",
        "image": os.environ["IMAGE"],
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "/opt/worker/platform_worker.py", "run"],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "envFrom": [{"configMapRef": {"name": name, "optional": True}} for name in common["configMaps"]],
        "resources": common["resources"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": name, "mountPath": folder, "readOnly": name not in ("work", "tmp")}
            for name, folder in folders.items()
        ],
    }
    labels = {"app.kubernetes.io/part-of": "mlops-platform", LABEL: "true", API_LABEL: "true"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": task.pod, "namespace": task.project, "labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "airflow",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": name, **source} for name, source in sources.items()],
        },
    }


def secret(task: Task, workload: str, uid: str) -> dict[str, Any]:
    """The Secret with the task's token. Its owner is the pod: both are deleted together."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": task.pod, "uid": uid}
    meta = {"name": task.pod, "namespace": task.project, "ownerReferences": [owner]}
    data = {"workload.json": workload}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "immutable": True, "stringData": data}


class Keeper:
    """The pods of all tasks that have not ended."""

    def __init__(self, api: Api, upload: Any) -> None:
        self._api, self._upload = api, upload
        self._new: dict[Task, str] = {}
        self._tried: dict[Task, float] = {}
        self._known: set[Task] = set()
        self._due: dict[Task, float] = {}

    def take(self, message: Created | Adopted | Stopped) -> None:
        if isinstance(message, Created):
            self._new[message.task] = message.workload
        elif isinstance(message, Adopted):
            self._known.add(message.task)
        else:
            self._new.pop(message.task, None)
            self._known.discard(message.task)
            self._delete(message.task)

    def step(self) -> list[tuple[Task, str, str | None]]:
        """Create and look at pods; return tasks that have ended, with state and reason."""
        ended = [each for task in list(self._new) for each in self._create(task)]
        for project in {task.project for task in self._known}:
            try:
                ended += self._look(project)
            except (requests.RequestException, Rejected) as error:  # nothing is known: look again
                log.warning("pods of %s: %s", project, error)
        for task, _, _ in ended:
            self._known.discard(task)
            self._due.pop(task, None)
        return ended

    def _create(self, task: Task) -> list[tuple[Task, str, str | None]]:
        if time.monotonic() < self._tried.get(task, 0) + RETRY_SECONDS:
            return []
        try:
            made = self._api("POST", f"{task.project}/pods", manifest(task)).json()
        except (requests.RequestException, Rejected) as error:
            return self._not_created(task, error)
        workload = self._new.pop(task)
        self._tried.pop(task, None)
        self._known.add(task)
        try:
            body = secret(task, workload, made["metadata"]["uid"])
            self._api("POST", f"{task.project}/secrets", body)
        except (requests.RequestException, Rejected) as error:
            return [self._end(task, "failed", f"the token of the task could not be stored: {error}")]
        return []

    def _not_created(self, task: Task, error: Exception) -> list[tuple[Task, str, str | None]]:
        """Try again later if another pod's end can help, or the API server's return; else the task fails.

        Airflow's limit for queued tasks ends the wait (scheduler.task_queued_timeout).
        """
        status = error.status if isinstance(error, Rejected) else 0
        if status in (0, 409, 429) or status >= 500 or "exceeded quota" in str(error):
            if task not in self._tried:
                log.warning("pod %s in %s waits: %s", task.pod, task.project, error)
            self._tried[task] = time.monotonic()
            return []
        self._new.pop(task)
        self._tried.pop(task, None)
        return [self._end(task, "failed", f"the pod of the task could not be created: {error}")]

    def _look(self, project: str) -> list[tuple[Task, str, str | None]]:
        found = self._api("GET", f"{project}/pods", labelSelector=LABEL).json()["items"]
        pods = {pod["metadata"]["name"]: pod for pod in found}
        ended = []
        for task in [each for each in self._known if each.project == project]:
            pod = pods.get(task.pod)
            if pod is None:
                ended.append(self._end(task, "failed", "the pod of the task was deleted"))
            elif outcome := _outcome(pod):
                self._copy(task)
                ended.append(self._end(task, *outcome))
            elif time.monotonic() > self._due.get(task, 0) and _started(pod):
                large = self._copy(task) > LARGE_LOG
                self._due[task] = time.monotonic() + (LARGE_LOG_SECONDS if large else LOG_SECONDS)
        return ended

    def _copy(self, task: Task) -> int:
        """Write the whole log of the pod to the file that Airflow serves, and return its length."""
        try:
            answer = self._api("GET", f"{task.project}/pods/{task.pod}/log", limitBytes=MOST_LOG)
        except (requests.RequestException, Rejected) as error:
            log.warning("log of %s in %s: %s", task.pod, task.project, error)
            return 0
        # Airflow reads the file as text: a project must not stop the upload with other bytes.
        _file(task).write_text(answer.content.decode(errors="replace"))
        return len(answer.content)

    def _end(self, task: Task, state: str, why: str | None) -> tuple[Task, str, str | None]:
        if why:
            line = {"timestamp": datetime.now(UTC).isoformat(), "level": "error", "event": why}
            with _file(task).open("a") as file:
                file.write(f"{json.dumps(line)}\n")
        self._upload(task.log_path)
        self._delete(task)
        return task, state, why

    def _delete(self, task: Task) -> None:
        try:
            self._api("DELETE", f"{task.project}/pods/{task.pod}")
        except Rejected as error:
            if error.status != 404:
                log.warning("pod %s in %s: %s", task.pod, task.project, error)
        except requests.RequestException as error:
            log.warning("pod %s in %s: %s", task.pod, task.project, error)


def _file(task: Task) -> Path:
    """The file of the log. Raises ValueError for a path outside of the folder of logs."""
    path = (LOGS / task.log_path).resolve()
    if not path.is_relative_to(LOGS):
        raise ValueError(f"log of {task.pod}: {task.log_path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _started(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any("running" in status.get("state", {}) for status in statuses)


def _outcome(pod: dict[str, Any]) -> tuple[str, str | None] | None:
    """State and reason of a pod that has ended. Airflow compares the state with what the task reported."""
    for status in pod["status"].get("containerStatuses") or []:
        if ended := status.get("state", {}).get("terminated"):
            if ended["exitCode"] == 0:
                return "success", None
            reason = ended.get("reason", "Error")
            return "failed", None if reason == "Error" else f"the pod of the task ended: {reason}"
    if pod["status"].get("phase") == "Failed":
        return "failed", f"the pod of the task failed: {pod['status'].get('reason', 'no reason is known')}"
    return None


def keep(pipe: Connection, other: Connection, parent: int) -> None:
    """Keep pods until the scheduler ends. Runs in a process of its own."""
    from airflow.logging_config import get_remote_task_log

    other.close()
    remote = get_remote_task_log()

    def upload(path: str) -> None:
        if remote:
            remote.upload(path, None)  # the S3 store ignores the task

    keeper = Keeper(Api(), upload)
    while os.getppid() == parent:
        if pipe.poll(STEP_SECONDS):
            keeper.take(pipe.recv())
        while pipe.poll():
            keeper.take(pipe.recv())
        for ended in keeper.step():
            pipe.send(ended)
