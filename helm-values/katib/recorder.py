"""The best trial of each finished Experiment: a Job in its project logs it to MLflow.

The Job has the name of the trial and belongs to the Experiment, so it is made once, also by a controller that
was replaced. An Experiment that was continued with more trials may have another best one, and another Job.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from calls import CallError, Object

EXPERIMENTS = "/apis/kubeflow.org/v1beta1/experiments"
SCRIPT = Path(__file__).with_name("record.py")
_EXTRACTED = {"minimize": "min", "maximize": "max"}


class Cluster(Protocol):
    """The API server."""

    def items(self, path: str, **query: str) -> list[Object]: ...

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Object: ...


class Recorder:
    """Makes the Jobs. `image` has MLflow; `tokens` are the sources of the volume with the pods' tokens."""

    def __init__(self, cluster: Cluster, image: str, tokens: list[Any]) -> None:
        self._cluster, self._image, self._tokens = cluster, image, tokens
        self._done: set[str] = set()  # best trials
        self._said: dict[str, str] = {}

    def once(self) -> None:
        """Make the missing Jobs. Raises CallError if the Experiments cannot be listed."""
        for each in self._cluster.items(EXPERIMENTS):
            record = record_of(each)
            if record is None or (key := f"{record['uid']} {record['trial']}") in self._done:
                continue
            name = each["metadata"]["namespace"]
            try:
                self._cluster.call("POST", f"/apis/batch/v1/namespaces/{name}/jobs", self.job(each, record))
            except CallError as error:
                if error.status != 409:
                    # Such as a policy in the project: the others must not wait for it.
                    self._say(key, f"{name}/{record['experiment']}: {error}")
                    continue
            self._done.add(key)

    def _say(self, key: str, text: str) -> None:
        """Print a reason, once as long as it is the same."""
        if self._said.get(key) != text:
            print(text, flush=True)  # noqa: T201 - the log of its pod
        self._said[key] = text

    def job(self, experiment: Mapping[str, Any], record: Mapping[str, Any]) -> Object:
        """The Job that logs the record."""
        labels = {"katib.kubeflow.org/experiment": record["experiment"]}
        owner = {
            "apiVersion": experiment.get("apiVersion", "kubeflow.org/v1beta1"),
            "kind": "Experiment",
            "name": record["experiment"],
            "uid": record["uid"],
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"{record['trial']}-best", "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "backoffLimit": 6,  # ten minutes: MLflow may be restarting
                "template": {"metadata": {"labels": labels}, "spec": self._pod(record)},
            },
        }

    def _pod(self, record: Mapping[str, Any]) -> Object:
        container = {
            "name": "record",
            "image": self._image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", SCRIPT.read_text()],
            "envFrom": [{"configMapRef": {"name": "platform", "optional": True}}],
            "env": [
                {"name": "HOME", "value": "/tmp"},  # noqa: S108
                {"name": "RECORD", "value": escaped(json.dumps(record))},
            ],
            "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": [
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                {"name": "tokens", "mountPath": "/var/run/secrets/tokens", "readOnly": True},
            ],
        }
        return {
            "restartPolicy": "Never",
            "serviceAccountName": "trainer",
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
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "tokens", "projected": {"sources": self._tokens}},
            ],
        }


def escaped(text: str) -> str:
    """The text for a variable of a container, where the kubelet replaces `$(NAME)`."""
    return text.replace("$", "$$")


def record_of(experiment: Mapping[str, Any]) -> Object | None:
    """What is logged about an Experiment; None while it runs, and if it has no best trial."""
    status, meta = experiment.get("status") or {}, experiment["metadata"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions") or []}
    best = status.get("currentOptimalTrial") or {}
    over = "True" in (conditions.get("Succeeded"), conditions.get("Failed"))
    if not over or not best.get("bestTrialName") or meta.get("deletionTimestamp"):
        return None
    return {
        "experiment": meta["name"],
        "uid": meta["uid"],
        "trial": best["bestTrialName"],
        "parameters": {each["name"]: each["value"] for each in best.get("parameterAssignments") or []},
        "metrics": _metrics(experiment, best),
    }


def _metrics(experiment: Mapping[str, Any], best: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the best trial: of the objective the best one, of other metrics the last one."""
    objective = experiment["spec"]["objective"]
    found = {}
    for each in (best.get("observation") or {}).get("metrics") or []:
        own = each["name"] == objective["objectiveMetricName"]
        key = _EXTRACTED.get(objective.get("type", ""), "latest") if own else "latest"
        try:
            value = float(each.get(key, ""))
        except ValueError:  # "unavailable"
            continue
        if math.isfinite(value):
            found[each["name"]] = value
    return found
