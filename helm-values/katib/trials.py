"""The mark of pods of trials, and their start: what is added to the template in an Experiment."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

# The webhook of pods sees only pods with this label.
MARK = "mlops-platform/trial"
MANAGER = "mlops-platform.io/katib"  # of the patch in a TrainJob: Trainer wants a domain and a path
# Katib 0.19 lists the Trials of an Experiment by its labels, in all namespaces (suggestion_controller.go).
# Without this label a search algorithm gets the Trials of an experiment of the same name in another project.
OF = "mlops-platform/trials-of"
_NODE = "node"  # the replicated Job of a TrainJob whose pods run the training, by Trainer's convention
_COLLECTORS = ("StdOut", "File")
# The collector looks for the trial's process once, at its start (pkg/metricscollector/v1beta1/common/pns.go).
# A trial that has ended by then fails, though it was successful. Both containers see the pod's processes.
_WAIT = (
    "for i in 1 2 3 4 5 6 7 8 9 10; do for p in /proc/[0-9]*/comm; do "
    'read -r c < "$p" && [ "$c" = file-metricscol ] && break 2; done 2>/dev/null; sleep 0.5; done; sleep 0.5'
)

Object = dict[str, Any]
_ROOT = "/spec/trialTemplate"


def patch_of(experiment: Mapping[str, Any], *, new: bool = True) -> list[Object]:
    """The JSON patch for an Experiment: empty if there is nothing to change.

    Katib refuses an update that changes a template, so only that of a new one is changed.
    """
    template = (experiment.get("spec") or {}).get("trialTemplate") or {}
    return [*_labelled(experiment), *(_template(experiment, template) if new else ())]


def _labelled(experiment: Mapping[str, Any]) -> list[Object]:
    """The label with the project. Another value is replaced: an admission policy compares it on updates."""
    meta = experiment.get("metadata") or {}
    namespace = meta.get("namespace")
    if not namespace or (meta.get("labels") or {}).get(OF) == namespace:
        return []
    return [{"op": "add", "path": "/metadata/labels", "value": {**(meta.get("labels") or {}), OF: namespace}}]


def _template(experiment: Mapping[str, Any], template: Mapping[str, Any]) -> list[Object]:
    spec = template.get("trialSpec") or {}
    marked = {"Job": _job, "TrainJob": _trainjob}.get(spec.get("kind", ""))
    if not marked or not isinstance(spec.get("spec"), dict):
        return []
    collector = ((experiment["spec"].get("metricsCollectorSpec") or {}).get("collector") or {}).get("kind")
    waits = (collector or _COLLECTORS[0]) in _COLLECTORS
    changed = marked(spec, template.get("primaryContainerName", ""), waits)
    if changed == spec:
        return []
    found: list[Object] = [{"op": "replace", "path": f"{_ROOT}/trialSpec", "value": changed}]
    if "retain" not in template:  # else the pods of a failed trial are deleted at once, with the reason
        found.append({"op": "add", "path": f"{_ROOT}/retain", "value": True})
    return found


def _job(job: Object, primary: str, waits: bool) -> Object:
    pod = job["spec"].get("template") or {}
    meta = pod.get("metadata") or {}
    if MARK in (meta.get("labels") or {}):
        return job
    spec = pod.get("spec") or {}
    containers = [
        _started(each) if waits and each.get("name") == primary else each
        for each in spec.get("containers") or []
    ]
    meta = {**meta, "labels": {**(meta.get("labels") or {}), MARK: "true"}}
    pod = {**pod, "metadata": meta, "spec": {**spec, "containers": containers}}
    again = (
        {} if "podFailurePolicy" in job["spec"] or spec.get("restartPolicy") != "Never" else _again(primary)
    )
    return {**job, "spec": {**job["spec"], "template": pod, **(again if waits else {})}}


def _again(primary: str) -> Object:
    """A trial that was successful runs again if its collector failed. The first rule that fits counts."""
    failed = {"operator": "NotIn", "values": [0]}
    rules = [
        {"action": "Count", "onExitCodes": {"containerName": primary, **failed}},
        {"action": "Ignore", "onExitCodes": failed},
    ]
    return {"podFailurePolicy": {"rules": rules}}


def _trainjob(job: Object, _: str, waits: bool) -> Object:
    spec = job["spec"]
    patches = spec.get("runtimePatches") or []
    if any(each.get("manager") == MANAGER for each in patches):
        return job
    pod = {"metadata": {"labels": {MARK: "true"}}}
    node = {"name": _NODE, "template": {"spec": {"template": pod}}}
    ours = {"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [node]}}}}
    trainer = spec.get("trainer") or {}
    trainer = _started(trainer) if waits and trainer.get("command") else trainer
    return {**job, "spec": {**spec, "trainer": trainer, "runtimePatches": [*patches, ours]}}


def _started(container: Object) -> Object:
    """The container, whose command waits for the collector.

    Katib joins command and arguments with blanks, and appends a redirection: so the command is one group for
    a shell, with the quotes that it needs.
    """
    words = [str(each) for each in (*(container.get("command") or ()), *(container.get("args") or ()))]
    if not container.get("command"):
        return container
    if words[0] in ("sh", "bash") and words[1:2] == ["-c"]:
        if len(words) != 3:
            return container
        shell, text = words[0], words[2]
    else:
        shell, text = "sh", shlex.join(words)
    # A new line ends a comment at the end of the text.
    rest = {key: value for key, value in container.items() if key not in ("command", "args")}
    return {**rest, "command": [shell, "-c", f"{{ {_WAIT}; {text}\n}}"]}
