"""Experiments of a project as screens show them: state in words, best trial, why one does not go on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.troubles import quota_words
from mlops_platform.base.errors import UsageError

API = "kubeflow.org/v1beta1"
EXPERIMENT, TRIAL = (API, "Experiment"), (API, "Trial")
SEARCH = (API, "Suggestion")  # the search algorithm of the experiment with the same name
_OF = "katib.kubeflow.org/experiment"  # label of trials
_EXTRACTED = {"minimize": "min", "maximize": "max"}
# The last one that is true is the state. https://www.kubeflow.org/docs/components/katib/reference/
_STATES = ("Created", "Running", "Restarting", "Succeeded", "Failed")
_TRIAL_STATES = ("Created", "Running", "Succeeded", "Killed", "MetricsUnavailable", "EarlyStopped", "Failed")
_OVER = ("succeeded", "failed")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class TrialRow:
    """A trial. `value` is that of the objective, None without one."""

    name: str
    state: str
    parameters: Mapping[str, str]
    value: float | None
    since: str


@dataclass(frozen=True)
class Row:
    """An experiment. `ended` of `wanted` trials are over, `failed` of them without a result.

    `best` and `value` are of the best trial so far; `reason` is why the experiment failed or waits.
    """

    name: str
    state: str
    algorithm: str
    objective: str  # 'minimize loss'
    ended: int
    failed: int
    wanted: int
    best: str
    value: float | None
    reason: str
    since: str

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Details:
    """An experiment with its trials, the oldest first."""

    row: Row
    trials: tuple[TrialRow, ...]
    goal: str

    @property
    def data(self) -> dict[str, Any]:
        return {**self.row.data, "goal": self.goal, "trials": [asdict(each) for each in self.trials]}


def rows_of(kube: Kube, project: str) -> list[Row]:
    """The experiments of a project, the newest first. Raises UsageError if the platform has none."""
    _require_served(kube)
    found = sorted(kube.list(*EXPERIMENT, project), key=_created, reverse=True)
    states = {_state(each, _STATES) for each in found}
    events = kube.events(project) if states - set(_OVER) else []
    searches = kube.list(*SEARCH, project) if "failed" in states else []
    failures = {each["metadata"]["name"]: _failure(each) for each in searches}
    return [row_of(each, events, failures.get(each["metadata"]["name"], "")) for each in found]


def details_of(kube: Kube, project: str, name: str) -> Details:
    """One experiment with its trials. Raises UsageError if there is none of this name."""
    _require_served(kube)
    found = kube.get(*EXPERIMENT, name, project)
    if found is None:
        known = sorted(each["metadata"]["name"] for each in kube.metadata(*EXPERIMENT, project))
        raise UsageError(
            f"project {project} has no experiment {name}",
            why=f"its experiments: {', '.join(known) or 'none'}",
            command=f"mlops-platform experiment list --project {project}",
        )
    trials = sorted(kube.list(*TRIAL, project, labels=f"{_OF}={name}"), key=_created)
    goal = found["spec"]["objective"].get("goal")
    rows = tuple(trial_of(each, found) for each in trials)
    failure = _failure(kube.get(*SEARCH, name, project) or {})
    return Details(row_of(found, kube.events(project), failure), rows, "" if goal is None else str(goal))


def _require_served(kube: Kube) -> None:
    if "experiments" not in kube.served(API.partition("/")[0]):
        raise UsageError(
            "this platform has no experiments",
            why="no component of the environment serves them",
            hint="add the component for experiments to the environment file, then run `mlops-platform up`",
        )


def row_of(experiment: Object, events: Sequence[Object], failure: str = "") -> Row:
    """The row of one experiment.

    `events` are those of its project, the oldest first; `failure` is that of its search algorithm.
    """
    meta, spec, status = experiment["metadata"], experiment["spec"], experiment.get("status") or {}
    objective, best = spec["objective"], status.get("currentOptimalTrial") or {}
    state = "stopping" if meta.get("deletionTimestamp") else _state(experiment, _STATES)
    failed = sum(int(status.get(f"trials{key}", 0)) for key in ("Failed", "Killed", "MetricsUnavailable"))
    good = sum(int(status.get(f"trials{key}", 0)) for key in ("Succeeded", "EarlyStopped"))
    return Row(
        name=meta["name"],
        state=state,
        algorithm=spec["algorithm"]["algorithmName"],
        objective=f"{objective.get('type', '')} {objective['objectiveMetricName']}".strip(),
        ended=good + failed,
        failed=failed,
        wanted=int(spec.get("maxTrialCount") or 0),
        best=best.get("bestTrialName", ""),
        value=_value(best.get("observation"), objective),
        reason=_reason(experiment, state, events, failure),
        since=meta["creationTimestamp"],
    )


def trial_of(trial: Object, experiment: Object) -> TrialRow:
    status = trial.get("status") or {}
    return TrialRow(
        name=trial["metadata"]["name"],
        state=_state(trial, _TRIAL_STATES),
        parameters={each["name"]: each["value"] for each in trial["spec"].get("parameterAssignments") or []},
        value=_value(status.get("observation"), experiment["spec"]["objective"]),
        since=trial["metadata"]["creationTimestamp"],
    )


def _state(each: Object, states: Sequence[str]) -> str:
    conditions = (each.get("status") or {}).get("conditions") or []
    true = {condition["type"] for condition in conditions if condition.get("status") == "True"}
    return next((state for state in reversed(states) if state in true), "new").lower()


def _value(observation: Object | None, objective: Object) -> float | None:
    """The value of the objective in an observation: the least or the greatest that was reported."""
    key = _EXTRACTED.get(objective.get("type", ""), "latest")
    for each in (observation or {}).get("metrics") or []:
        if each["name"] == objective["objectiveMetricName"]:
            try:
                value = float(each.get(key, ""))
            except ValueError:  # 'unavailable'
                return None
            return value if math.isfinite(value) else None
    return None


def _failure(each: Object) -> str:
    """The message of the condition Failed; '' if it is not true."""
    for condition in (each.get("status") or {}).get("conditions") or []:
        if condition["type"] == "Failed" and condition.get("status") == "True":
            return str(condition.get("message", ""))
    return ""


def _reason(experiment: Object, state: str, events: Sequence[Object], failure: str) -> str:
    """Why it failed, or the last warning about it, its search algorithm, a trial or a pod of theirs."""
    if state == "failed":
        return failure or _failure(experiment)
    if state in _OVER:
        return ""
    name = experiment["metadata"]["name"]
    for each in reversed(events):
        about = (each.get("involvedObject") or {}).get("name", "")
        if each.get("type") == "Warning" and (about == name or about.startswith(f"{name}-")):
            return quota_words(str(each.get("message", "")))
    return ""


def _created(each: Object) -> tuple[str, str]:
    return str(each["metadata"]["creationTimestamp"]), str(each["metadata"]["name"])
