"""Workloads and pods with the status that controllers would write, for a server without controllers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_platform.adapters.kube import Kube

Status = dict[str, Any]


def deployment(kube: Kube, namespace: str, name: str, *, replicas: int = 1) -> None:
    """Create a Deployment with a release's label; no controller has seen it."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [_container()]}}
    kube.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/instance": name},
            },
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": template,
            },
        }
    )


def rolled_out(kube: Kube, namespace: str, name: str, *, ready: int, replicas: int = 1) -> None:
    """Write the status that the Deployment's controller would report."""
    status = {
        "observedGeneration": 1,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    kube.patch("apps/v1", "Deployment", name, namespace, body={"status": status}, subresource="status")


def pod(
    kube: Kube, namespace: str, name: str, app: str, status: Status, more: Mapping[str, str] | None = None
) -> None:
    """Create a pod of a workload with the status that a kubelet would report."""
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": app, **(more or {})}},
            "spec": {"containers": [_container()]},
        }
    )
    report(kube, namespace, name, status)


def report(kube: Kube, namespace: str, name: str, status: Status) -> None:
    kube.patch("v1", "Pod", name, namespace, body={"status": status}, subresource="status")


def waiting(reason: str, message: str = "", *, restarts: int = 0) -> Status:
    return _status({"waiting": {"reason": reason, "message": message}}, restarts)


def ended(code: int, *, restarts: int = 0) -> Status:
    return _status({"terminated": {"exitCode": code, "reason": "Error"}}, restarts)


def running(*, seconds: float, ready: bool = True) -> Status:
    started = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")
    return _status({"running": {"startedAt": started.replace("+00:00", "Z")}}, 0, ready=ready)


def _container() -> dict[str, Any]:
    return {"name": "main", "image": "local/none:1"}


def _status(state: dict[str, Any], restarts: int, *, ready: bool = False) -> Status:
    about = {"name": "main", "image": "local/none:1", "imageID": "", "ready": ready, "restartCount": restarts}
    others = dict.fromkeys(("waiting", "running", "terminated"))
    return {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "True" if ready else "False"},
        ],
        "containerStatuses": [{**about, "state": {**others, **state}}],
    }
