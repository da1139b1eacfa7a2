"""Experiments as screens show them: states, the best trial, why one does not go on, the plot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.base.humanize import WIDTH
from mlops_platform.console.experiments import list_, plot, show
from mlops_platform.report.experiments import Details, details_of, row_of, rows_of, trial_of

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CREATED = "2026-11-29T11:55:00Z"


def conditions(*types: str, message: str = "") -> list[dict[str, str]]:
    return [{"type": each, "status": "True", "message": message} for each in types]


def observation(**values: str) -> dict[str, Any]:
    return {"metrics": [{"name": "loss", **values}]}


def experiment(*types: str, kind: str = "minimize", message: str = "", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "churn", "creationTimestamp": CREATED},
        "spec": {
            "objective": {"type": kind, "objectiveMetricName": "loss", "goal": 0.1},
            "algorithm": {"algorithmName": "tpe"},
            "maxTrialCount": 6,
        },
        "status": {"conditions": conditions(*types, message=message), **status},
    }


def trial(name: str, state: str, loss: str = "", **parameters: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "creationTimestamp": CREATED},
        "spec": {"parameterAssignments": [{"name": k, "value": v} for k, v in parameters.items()]},
        "status": {
            "conditions": conditions("Created", "Running", state),
            "observation": observation(min=loss, max=loss, latest=loss) if loss else None,
        },
    }


def warning(about: str, message: str) -> dict[str, Any]:
    return {"type": "Warning", "involvedObject": {"name": about}, "message": message}


def normal(about: str, reason: str) -> dict[str, Any]:
    return {"type": "Normal", "reason": reason, "involvedObject": {"name": about}, "message": reason}


@pytest.mark.parametrize(
    ("types", "state"),
    [
        ((), "new"),
        (("Created",), "created"),
        (("Created", "Running"), "running"),
        (("Created", "Running", "Succeeded"), "succeeded"),
        (("Created", "Failed"), "failed"),
        (("Created", "Running", "Restarting"), "restarting"),
    ],
)
def test_state_is_the_last_condition_that_is_true(types: tuple[str, ...], state: str) -> None:
    assert row_of(experiment(*types), []).state == state


def test_condition_that_is_false_is_no_state() -> None:
    found = experiment("Created", "Running", "Succeeded")
    found["status"]["conditions"][1]["status"] = "False"
    found["status"]["conditions"][2]["status"] = "False"
    assert row_of(found, []).state == "created"


@pytest.mark.parametrize(("kind", "value"), [("minimize", 1.0), ("maximize", 3.0), ("", 2.0)])
def test_value_of_the_best_trial_depends_on_the_objective(kind: str, value: float) -> None:
    best = {"bestTrialName": "churn-a", "observation": observation(min="1", max="3", latest="2")}
    assert row_of(experiment("Running", kind=kind, currentOptimalTrial=best), []).value == value


@pytest.mark.parametrize("text", ["unavailable", "", "inf", "nan"])
def test_value_that_is_no_number_is_none(text: str) -> None:
    best = {"bestTrialName": "churn-a", "observation": observation(min=text)}
    assert row_of(experiment("Running", currentOptimalTrial=best), []).value is None


def test_trials_are_counted_by_how_they_ended() -> None:
    counts: dict[str, Any] = {
        "trialsSucceeded": 2,
        "trialsEarlyStopped": 1,
        "trialsFailed": 1,
        "trialMetricsUnavailable": 1,  # Katib's spelling
    }
    row = row_of(experiment("Running", **counts, trialsRunning=1), [])
    assert (row.ended, row.failed, row.wanted) == (5, 2, 6)


def test_reason_is_the_last_warning() -> None:
    events = [warning("churn", "old"), warning("churn-tpe", "the last"), normal("churn-a", "JobCreated")]
    assert row_of(experiment("Created", "Running"), events).reason == "the last"
    assert row_of(experiment("Created", "Succeeded"), events).reason == ""


@pytest.mark.parametrize(("reason", "over"), [("Started", True), ("JobSucceeded", True), ("Pulled", False)])
def test_warning_is_over_after_progress(reason: str, over: bool) -> None:
    """The probe of a search algorithm that starts fails once; a trial after it is no reason to worry."""
    events = [warning("churn-tpe-x", "Readiness probe failed"), normal("churn-a-y", reason)]
    found = row_of(experiment("Created", "Running"), events).reason
    assert found == ("" if over else "Readiness probe failed")
    assert row_of(experiment("Running"), [*events, warning("churn-b", "new")]).reason == "new"


class Kube:
    """A cluster with experiments and events."""

    def __init__(self, names: Sequence[str], events: Sequence[dict[str, Any]], *types: str) -> None:
        self._found = [experiment(*types) for _ in names]
        for name, each in zip(names, self._found, strict=True):
            each["metadata"]["name"] = name
        self._events = events

    def served(self, group: str) -> dict[str, str]:
        return {"experiments": group}

    def list(self, api: str, kind: str, namespace: str, labels: str = "") -> Sequence[Any]:
        return self._found if kind == "Experiment" else []

    def metadata(self, api: str, kind: str, namespace: str) -> Sequence[Any]:
        return self._found

    def get(self, api: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        return next((each for each in self._found if each["metadata"]["name"] == name), None)

    def events(self, namespace: str) -> Sequence[Any]:
        return self._events


def test_warning_is_about_the_experiment_with_the_longest_name() -> None:
    """`churn-2-a` is a trial of `churn-2`, though it begins with `churn-` too."""
    events = [warning("churn-a", "first"), warning("churn-2-a", "second"), warning("churns", "of another")]
    kube: Any = Kube(["churn", "churn-2", "churn-3"], events, "Created", "Running")
    assert {row.name: row.reason for row in rows_of(kube, "lab")} == {
        "churn": "first",
        "churn-2": "second",
        "churn-3": "",
    }
    assert details_of(kube, "lab", "churn").row.reason == "first"
    with pytest.raises(UsageError, match="no experiment churn-4"):
        details_of(kube, "lab", "churn-4")


@pytest.mark.parametrize(
    ("types", "seconds", "reason"),
    [
        ((), 5, ""),
        ((), 30, "its controller has not looked at it"),
        (("Created",), 5, ""),
        (("Created",), 30, "its search algorithm does not answer"),
        (("Created", "Running"), 3000, ""),
    ],
)
def test_experiment_that_waits_says_so_within_half_a_minute(
    types: tuple[str, ...], seconds: int, reason: str
) -> None:
    now = datetime.fromisoformat(CREATED) + timedelta(seconds=seconds)
    found = row_of(experiment(*types), [], now=now).reason
    assert found.startswith(reason) and bool(found) == bool(reason)


def test_quota_is_a_reason_in_words() -> None:
    text = "exceeded quota: project, requested: pods=1, used: pods=2, limited: pods=2"
    found = row_of(experiment("Running"), [warning("churn-a", f"pod is forbidden: {text}")]).reason
    assert found == "not enough quota: pods: 1 more, 2 of 2 used"


def test_failed_experiment_has_its_own_reason() -> None:
    found = experiment("Created", "Failed", message="max failed count has reached")
    assert row_of(found, [warning("churn", "other")]).reason == "max failed count has reached"
    assert row_of(found, [], "the grid has 25 points").reason == "the grid has 25 points"


@pytest.mark.parametrize(("count", "words"), [(1, "1 trial"), (3, "3 trials")])
def test_failed_experiment_says_that_trials_reported_no_metric(count: int, words: str) -> None:
    found = experiment("Failed", message="max failed count has reached", trialMetricsUnavailable=count)
    text = f"max failed count has reached; {words} ended without a value of loss"
    assert row_of(found, []).reason == text


def test_experiment_without_a_status_is_new() -> None:
    found = experiment()
    del found["status"]
    row = row_of(found, [])
    assert (row.state, row.ended, row.best, row.value) == ("new", 0, "", None)


def details(*trials: dict[str, Any], kind: str = "minimize", **status: Any) -> Details:
    found = experiment("Created", "Running", kind=kind, **status)
    return Details(row_of(found, []), tuple(trial_of(each, found) for each in trials), "0.1")


SHOWN = """\
churn: running in lab, 5m old
  trials      2 of 6 have ended
  objective   minimize loss, goal 0.1
  algorithm   tpe
  best        0.5 by churn-b
              x=0.3, c=deep

    1 │•
      │
      │
      │
      │
      │
      │
      │
      │
  0.5 │ •
      └── 2 trials

  trial    state      value  parameters
  churn-b  succeeded  0.5    x=0.3, c=deep
  churn-a  succeeded  1      x=0.1, c=flat
  churn-c  running    -      x=2, c=flat
"""


def test_screen_of_an_experiment() -> None:
    best = {"bestTrialName": "churn-b", "observation": observation(min="0.5")}
    found = details(
        trial("churn-a", "Succeeded", "1.0", x="0.1", c="flat"),
        trial("churn-b", "Succeeded", "0.5", x="0.30000000000000004", c="deep"),
        trial("churn-c", "Running", x="2", c="flat"),
        trialsSucceeded=2,
        currentOptimalTrial=best,
    )
    assert show(found, "lab", NOW) + "\n" == SHOWN


def test_best_trials_come_first_and_a_screen_has_not_more_than_fit() -> None:
    trials = [trial(f"t{i}", "Succeeded", str(i)) for i in range(30)]
    text = show(details(*trials, kind="maximize"), "lab", NOW)
    assert text.index("  t29 ") < text.index("  t28 ")
    assert "… and 10 more: --output json has all" in text
    assert len(details(*trials).data["trials"]) == 30


def test_experiment_without_a_trial_has_no_plot_and_no_table() -> None:
    assert show(details(), "lab", NOW).splitlines()[-1] == "  algorithm   tpe"


@pytest.mark.parametrize("count", [2, 60, 500])
def test_plot_fits_the_screen_and_keeps_the_best(count: int) -> None:
    lines = plot([float(count - i) for i in range(count)], "minimize loss")
    assert all(len(line) <= WIDTH for line in lines)
    assert "1" in lines[-2] and lines[-2].endswith("•"), "the last trials are the best"
    assert lines[-1].endswith(f"{count} trials")


def test_plot_of_equal_values_is_a_line() -> None:
    lines = plot([2.0, 2.0, 2.0], "maximize f")
    assert sum("•" in line for line in lines) == 1


def test_list_has_the_reason_below() -> None:
    rows = [
        row_of(experiment("Created", "Failed", message="max failed count has reached", trialsFailed=2), []),
        row_of(experiment("Running"), []),
    ]
    text = list_(rows, "lab", NOW)
    assert "churn  failed   2 of 6" in text
    assert "max failed count has reached" in text
    assert list_([], "lab") == "no experiments in lab"
