"""The evidence of a failed smoke test: objects, events and logs of the namespace, never a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.yaml import dump_all

# A list of the kinds to collect, not of exceptions: a kind that is not listed cannot leak.
_KINDS = (
    ("v1", "Pod"),
    ("v1", "Service"),
    ("v1", "PersistentVolumeClaim"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
)
_LOG_LINES = 1000
_NO_LOG = (400, 404)  # no such container yet, or it is gone already


def collect(kube: Kube, namespace: str, folder: Path, output: Mapping[str, str]) -> None:
    """Write everything into `folder`; `output` has the probes' own logs by phase."""
    folder.mkdir(parents=True, exist_ok=True)
    for phase, text in output.items():
        (folder / f"probes-{phase}.log").write_text(text)
    (folder / "events.txt").write_text("".join(_event(e) for e in kube.events(namespace)))
    (folder / "objects.yaml").write_text(_objects(kube, namespace))
    for pod in kube.list("v1", "Pod", namespace):
        _logs(kube, namespace, pod, folder)


def _event(event: Mapping[str, Any]) -> str:
    about = event["involvedObject"]
    when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    times = f" ({event['count']} times)" if event.get("count", 1) > 1 else ""
    what = f"{about.get('kind', '')} {about.get('name', '')}"
    return f"{when} {event.get('type')} {what} {event.get('reason')}{times}: {event.get('message', '')}\n"


def _objects(kube: Kube, namespace: str) -> str:
    found = [each for version, kind in _KINDS for each in kube.list(version, kind, namespace)]
    for each in found:
        each["metadata"].pop("managedFields", None)
    return dump_all(found)


def _logs(kube: Kube, namespace: str, pod: Mapping[str, Any], folder: Path) -> None:
    """Write the logs of every container, with those from before its last restart."""
    name = pod["metadata"]["name"]
    spec = pod["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for previous in (False, True):
            try:
                text = kube.logs(
                    namespace, name, container=container["name"], tail=_LOG_LINES, previous=previous
                )
            except KubeError as error:
                if error.status not in _NO_LOG:
                    raise
                continue
            suffix = ".previous" if previous else ""
            (folder / f"{name}.{container['name']}{suffix}.log").write_text(text)
