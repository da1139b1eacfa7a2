"""Rules for DAGs of projects: what Airflow stores, what a task may ask, who may use a DAG."""

from __future__ import annotations

import base64
import copy
import json
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from mlops_platform.base.paths import Paths

FOLDER = Paths.default().assets / "helm-values" / "airflow"
ME, OTHER = "0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000002"
DAG: dict[str, Any] = {
    "__version": 3,
    "dag": {
        "dag_id": "fraud.daily",
        "relative_fileloc": "daily.py",
        "fileloc": "/run/secrets/database/uri",
        "access_control": {"__type": "dict", "__var": {"Viewer": {}}},
        "timetable": {
            "__type": "airflow.timetables.trigger.CronTriggerTimetable",
            "__var": {"expression": "@daily"},
        },
        "owner_links": {"me": "javascript:alert(1)"},
        "tasks": [
            {"__type": "operator", "__var": {"task_id": "say", "has_on_failure_callback": True}},
            {
                "__type": "operator",
                "__var": {"task_id": "many", "_is_mapped": True, "partial_kwargs": {"retries": 1}},
            },
        ],
    },
}


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(FOLDER))
    names = ("dags", "platform_rules")
    try:
        yield {name: import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


def test_a_dag_is_stored_with_the_executor_and_access_of_its_project(modules: dict[str, ModuleType]) -> None:
    dag = modules["dags"].clean(copy.deepcopy(DAG), "fraud", {"daily.py"})["dag"]
    first, second = (task["__var"] for task in dag["tasks"])
    for part in (first, second["partial_kwargs"]):
        assert (part["executor"], part["pool"]) == ("project", "project.fraud")
    assert "has_on_failure_callback" not in first
    assert dag["access_control"] is None
    assert dag["owner_links"] == {}
    # Airflow reads this file as the source of the DAG, and shows it in its UI.
    assert dag["fileloc"] == "/tmp/dags/daily.py"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("executor", "LocalExecutor", "all tasks run in pods of the project"),
        (
            "executor_config",
            {"__type": "dict", "__var": {"pod_override": 1}},
            "all tasks run in the same pod",
        ),
        ("start_trigger_args", {"trigger_cls": "subprocess.Popen"}, "mode='reschedule'"),
        ("start_from_trigger", True, "mode='reschedule'"),
        ("outlets", [{"name": "x"}], "assets"),
        ("run_as_user", "root", "same user"),
        ("params", {"__type": "airflow_exc_ser", "__var": {"exc_cls_name": "os.system"}}, "airflow_exc_ser"),
        ("params", {"x": [{"__type": "connection", "__var": {}}]}, "connection"),
        ("params", {"__classname__": "subprocess.Popen"}, "type None"),
    ],
)
@pytest.mark.parametrize("mapped", [False, True])
def test_a_task_with_rights_of_the_platform_is_rejected(
    modules: dict[str, ModuleType], key: str, value: Any, reason: str, mapped: bool
) -> None:
    dag = copy.deepcopy(DAG)
    task = dag["dag"]["tasks"][int(mapped)]["__var"]
    (task["partial_kwargs"] if mapped else task)[key] = value
    with pytest.raises(modules["dags"].Refused, match=reason):
        modules["dags"].clean(dag, "fraud", {"daily.py"})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dag_id": "other.daily"}, "not an id of a DAG"),
        ({"dag_id": "fraud.a/b"}, "not an id of a DAG"),
        ({"relative_fileloc": "../../run/secrets/database/uri"}, "not a file of this version"),
        ({"deadline": [{"callback": "x"}]}, "deadline"),
        ({"timetable": {"__type": "subprocess.Popen", "__var": {}}}, "subprocess.Popen"),
        ({"tasks": None}, "a DAG without"),
    ],
)
def test_a_dag_outside_of_its_project_is_rejected(
    modules: dict[str, ModuleType], change: dict[str, Any], reason: str
) -> None:
    dag = copy.deepcopy(DAG)
    dag["dag"].update(change)
    with pytest.raises(modules["dags"].Refused, match=reason):
        modules["dags"].clean(dag, "fraud", {"daily.py"})


def test_a_result_that_unpacks_to_much_more_is_rejected(modules: dict[str, ModuleType]) -> None:
    packed = base64.b85encode(zlib.compress(b" " * (17 * 1024 * 1024))).decode()
    with pytest.raises(modules["dags"].Refused, match="more than 16 MiB"):
        modules["dags"].read(packed)


def test_the_result_of_the_parser_is_read(modules: dict[str, ModuleType]) -> None:
    packed = base64.b85encode(zlib.compress(json.dumps({"dags": [DAG]}).encode())).decode()
    assert modules["dags"].read(packed) == [DAG]


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        (f"/task-instances/{ME}/run", "", ""),
        (f"/task-instances/{ME}/state", "", ""),
        (f"/store/ti/{ME}/a/b", "", ""),
        ("/variables/fraud.limit", "", ""),
        ("/connections/fraud.warehouse", "", ""),
        ("/xcoms/fraud.daily/run/say/return_value", "", "fraud.daily"),
        ("/xcoms/other.daily/run/say/return_value", "", "other.daily"),
        ("/dag-runs/other.daily/run", "", "other.daily"),
        ("/task-instances/states", "dag_id=other.daily", "other.daily"),
        (f"/task-instances/{OTHER}/state", "", None),
        (f"/task-instances/{OTHER}/run", "", None),
        (f"/store/ti/{OTHER}/key", "", None),
        (f"/hitlDetails/{OTHER}", "", None),
        ("/variables/limit", "", None),
        ("/variables/keys", "prefix=fraud.", None),
        ("/variables/fraud", "", None),
        ("/connections/platform_logs", "", None),
        ("/connections/fraud.x/../platform_logs", "", None),
        ("/assets/by-name", "name=x", None),
        ("/asset-events/by-asset", "name=x", None),
        (f"/connection-tests/{ME}/connection", "", None),
        ("/task-instances/states", "", None),
        ("/task-instances/states", "dag_id=fraud.daily&dag_id=other.daily", None),
        ("/dag-runs/count", "dag_id=", None),
        ("/something-new", "", None),
    ],
)
def test_a_task_of_a_project_asks_for_its_project_only(
    modules: dict[str, ModuleType], path: str, query: str, found: str | None
) -> None:
    assert modules["platform_rules"].needs("fraud", ME, path, query) == found


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"state": "success", "task_outlets": [], "outlet_events": []}, True),
        ({"state": "failed"}, True),
        ({"state": "up_for_reschedule"}, True),
        ({"state": "success", "task_outlets": [{"name": "x"}]}, False),
        ({"state": "success", "outlet_events": [{}]}, False),
        ({"state": "deferred", "classpath": "subprocess.Popen"}, False),
        ({"state": "awaiting_input"}, False),
        ([], False),
    ],
)
def test_a_task_of_a_project_starts_nothing_on_the_platform(
    modules: dict[str, ModuleType], body: Any, accepted: bool
) -> None:
    assert (modules["platform_rules"].state_problem(json.dumps(body).encode()) == "") is accepted


@pytest.mark.parametrize(
    ("roles", "method", "accepted"),
    [
        ({"Admin"}, "DELETE", True),
        ({"Op"}, "GET", True),
        ({"User"}, "GET", False),
        ({"Viewer", "project-fraud-view"}, "GET", True),
        ({"User", "project-fraud-view"}, "PUT", False),
        ({"User", "project-fraud-edit"}, "PUT", True),
        ({"User", "project-other-edit"}, "GET", False),
    ],
)
def test_members_use_the_dags_of_their_project(
    modules: dict[str, ModuleType], roles: set[str], method: str, accepted: bool
) -> None:
    assert modules["platform_rules"].may(roles, "fraud", method) is accepted


def test_the_platforms_bundles_are_of_no_project(modules: dict[str, ModuleType]) -> None:
    project_of = modules["platform_rules"].project_of
    assert [project_of(each) for each in ("project.fraud", "platform", "dags")] == ["fraud", "", ""]
