"""Experiments of a project as screens show them: state in words, best trial, why one does not go on."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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
_WITHOUT_RESULT = ("trialsFailed", "trialsKilled", "trialMetricsUnavailable")  # the last one is no plural
_WITH_RESULT = ("trialsSucceeded", "trialsEarlyStopped")
_PROGRESS = ("Started", "JobSucceeded")  # reasons of events: of a container, of a trial
_QUIET_SECONDS = 25  # for so long an experiment may wait for its first trial without a reason

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
    names = [each["metadata"]["name"] for each in found]
    return [
        row_of(each, _about(name, names, events), failures.get(name, ""))
        for name, each in zip(names, found, strict=True)
    ]


def details_of(kube: Kube, project: str, name: str) -> Details:
    """One experiment with its trials. Raises UsageError if there is none of this name."""
    _require_served(kube)
    found = kube.get(*EXPERIMENT, name, project)
    known = sorted(each["metadata"]["name"] for each in kube.metadata(*EXPERIMENT, project))
    if found is None:
        raise UsageError(
            f"project {project} has no experiment {name}",
            why=f"its experiments: {', '.join(known) or 'none'}",
            command=f"mlops-platform experiment list --project {project}",
        )
    trials = sorted(kube.list(*TRIAL, project, labels=f"{_OF}={name}"), key=_created)
    goal = found["spec"]["objective"].get("goal")
    rows = tuple(trial_of(each, found) for each in trials)
    failure = _failure(kube.get(*SEARCH, name, project) or {})
    events = _about(name, known, kube.events(project))
    return Details(row_of(found, events, failure), rows, "" if goal is None else str(goal))


def _require_served(kube: Kube) -> None:
    if "experiments" not in kube.served(API.partition("/")[0]):
        raise UsageError(
            "this platform has no experiments",
            why="no component of the environment serves them",
            hint="add the component for experiments to the environment file, then run `mlops-platform up`",
        )


def row_of(
    experiment: Object, events: Sequence[Object], failure: str = "", now: datetime | None = None
) -> Row:
    """The row of one experiment.

    `events` are those about it and its objects, the oldest first; `failure` is that of its search algorithm.
    """
    meta, spec, status = experiment["metadata"], experiment["spec"], experiment.get("status") or {}
    objective, best = spec["objective"], status.get("currentOptimalTrial") or {}
    state = "stopping" if meta.get("deletionTimestamp") else _state(experiment, _STATES)
    failed = sum(int(status.get(key, 0)) for key in _WITHOUT_RESULT)
    good = sum(int(status.get(key, 0)) for key in _WITH_RESULT)
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
        reason=_reason(experiment, state, events, failure, now or datetime.now(UTC)),
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


def _about(name: str, names: Collection[str], events: Sequence[Object]) -> list[Object]:
    """The events about an experiment and its objects: their names begin with its name.

    `names` are those of all experiments: with `churn-2` among them, `churn-2-a` is not an object of `churn`.
    """

    def owner(about: str) -> str:
        return max(
            (each for each in names if about == each or about.startswith(f"{each}-")), key=len, default=""
        )

    return [each for each in events if owner((each.get("involvedObject") or {}).get("name", "")) == name]


def _reason(experiment: Object, state: str, events: Sequence[Object], failure: str, now: datetime) -> str:
    """Why it failed, or the last warning about it, its search algorithm, a trial or a pod of theirs.

    A warning is over when a container of it has started since, or a trial has ended well.
    """
    if state == "failed":
        return failure or f"{_failure(experiment)}{_silent(experiment)}"
    if state in _OVER:
        return ""
    for each in reversed(events):
        if each.get("type") == "Warning":
            return quota_words(str(each.get("message", "")))
        if each.get("reason") in _PROGRESS:
            return ""
    age = (now - datetime.fromisoformat(experiment["metadata"]["creationTimestamp"])).total_seconds()
    if age < _QUIET_SECONDS or state not in ("new", "created"):
        return ""
    if state == "new":
        return "its controller has not looked at it: run `mlops-platform status`"
    return "its search algorithm does not answer: run `mlops-platform status`, and look at its pods"


def _silent(experiment: Object) -> str:
    """How many trials ended well without the metric; '' if each one had it."""
    count = int((experiment.get("status") or {}).get("trialMetricsUnavailable", 0))
    if not count:
        return ""
    metric = experiment["spec"]["objective"]["objectiveMetricName"]
    return f"; {count} {'trials' if count > 1 else 'trial'} ended without a value of {metric}"


def _created(each: Object) -> tuple[str, str]:
    return str(each["metadata"]["creationTimestamp"]), str(each["metadata"]["name"])
