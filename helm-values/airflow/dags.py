"""DAGs of a project in Airflow's database: `push` a version, `remove` one.

A pod of the project has parsed the files: none of their code runs here, and nothing in the result is trusted.
The input is in /files/input.json. The last line of the output is RESULT and a JSON object.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INPUT, CODE = Path("/files/input.json"), Path("/tmp/dags")  # noqa: S108
PREFIX = "project."
EXECUTOR = "project"  # the alias in airflow.cfg
SLOTS = 32  # tasks of a project that run or wait for their pods
MOST_BYTES = 16 * 1024 * 1024
# Types of values in a DAG that Airflow stores. Others name classes that Airflow would import and call, or
# objects of the whole installation.
TYPES = {
    *("dict", "set", "tuple", "datetime", "timedelta", "timezone", "relativedelta", "param", "xcomref"),
    *("arg_not_set", "operator", "taskgroup", "mapped_argument"),
}
TIMETABLES = ("airflow.timetables.trigger.", "airflow.timetables.interval.", "airflow.timetables.simple.")
# Keys of a task, and what to write in place of them.
REFUSED = {
    "executor": "all tasks run in pods of the project",
    "executor_config": "all tasks run in the same pod",
    "start_trigger_args": "use mode='reschedule' in place of deferrable=True",
    "run_as_user": "all tasks run as the same user",
    "inlets": "assets are not available in projects",
    "outlets": "assets are not available in projects",
}
DROPPED = {"email", "email_on_failure", "email_on_retry"}
OF_DAG: dict[str, Any] = {
    "access_control": None,
    "disable_bundle_versioning": False,
    "dag_dependencies": [],
    "owner_links": {},
    "has_on_success_callback": False,
    "has_on_failure_callback": False,
}


class Refused(Exception):
    """A DAG that projects must not have."""


def pool(project: str) -> str:
    """The pool of a project's tasks: one project must not take the slots of the others."""
    return f"{PREFIX}{project}"


def read(packed: str) -> list[dict[str, Any]]:
    """The DAGs of the result. Raises Refused if it is too large or not a result."""
    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(base64.b85decode(packed), MOST_BYTES)
        if unpack.unconsumed_tail:
            raise Refused(f"the DAGs have more than {MOST_BYTES // 1024**2} MiB")
        dags: list[dict[str, Any]] = json.loads(text)["dags"]
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise Refused(f"the result of the parser cannot be read: {error}") from error
    return dags


def clean(data: Any, project: str, files: set[str]) -> dict[str, Any]:
    """A DAG as Airflow may store it. Raises Refused."""
    try:
        dag, name = data["dag"], str(data["dag"]["dag_id"])
        file = str(dag["relative_fileloc"])
        tasks = [each["__var"] for each in dag["tasks"]]
    except (KeyError, TypeError) as error:
        raise Refused(f"a DAG without {error}") from error
    where = f"{file}: {name.removeprefix(f'{project}.')}"
    if not re.fullmatch(rf"{re.escape(project)}\.[A-Za-z0-9_.-]{{1,200}}", name):
        raise Refused(f"{where}: not an id of a DAG (letters, digits, dashes, dots, underscores)")
    if file not in files:
        raise Refused(f"{where}: not a file of this version")
    for key in ("deadline",):
        if dag.get(key):
            raise Refused(f"{where}: {key} is not available in projects")
    for why in _types(dag):
        raise Refused(f"{where}: {why}")
    for task in tasks:
        for part in filter(None, (task, task.get("partial_kwargs"))):
            _task(part, f"{where}, task {task.get('task_id')}")
        owner = task.get("partial_kwargs", task)
        owner.update(executor=EXECUTOR, pool=pool(project), pool_slots=1)
    dag.update(OF_DAG, dag_display_name=name, fileloc=str(CODE / file), _processor_dags_folder=str(CODE))
    return {"__version": data.get("__version"), "dag": dag}


def _task(part: dict[str, Any], where: str) -> None:
    for key, why in REFUSED.items():
        value = part.get(key)
        if isinstance(value, dict) and "__var" in value:
            value = value["__var"]
        if value:
            raise Refused(f"{where}: {key} ({why})")
    if part.get("start_from_trigger"):
        raise Refused(f"{where}: start_from_trigger ({REFUSED['start_trigger_args']})")
    for key in [each for each in part if each in DROPPED or each.startswith("has_on_")]:
        del part[key]


def _types(value: Any) -> Iterator[str]:
    """Find values of types that are not in TYPES."""
    if isinstance(value, list):
        for each in value:
            yield from _types(each)
    elif isinstance(value, dict):
        kind = value.get("__type")
        known = kind is None or kind in TYPES or (isinstance(kind, str) and kind.startswith(TIMETABLES))
        if not known or "__classname__" in value:
            yield f"a value of type {kind} is not available in projects"
        for each in value.values():
            yield from _types(each)


def push(project: str) -> dict[str, Any]:
    """Store a version: all DAGs, or none."""
    given = json.loads(INPUT.read_text())
    files: dict[str, str] = given["files"]
    try:
        dags = [clean(each, project, set(files)) for each in read(given["packed"])]
    except Refused as error:
        return {"refused": [str(error)]}
    for path, text in files.items():  # Airflow stores the source of each DAG
        target = CODE / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return _store(project, given["version"], dags)


def _store(project: str, version: str, dags: list[dict[str, Any]]) -> dict[str, Any]:
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.models import DagModel, DagRun, Pool
    from airflow.models.dagbundle import DagBundleModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from airflow.utils.timezone import utcnow
    from sqlalchemy import select, update

    bundle, ids = f"{PREFIX}{project}", [each["dag"]["dag_id"] for each in dags]
    with create_session() as session:
        taken = select(DagModel.dag_id, DagModel.bundle_name).where(
            DagModel.dag_id.in_(ids), DagModel.bundle_name != bundle
        )
        if others := session.execute(taken).all():
            return {"refused": [f"DAG {dag} exists already in the bundle {other}" for dag, other in others]}
        row = session.get(DagBundleModel, bundle) or DagBundleModel(name=bundle)
        row.active, row.version, row.last_refreshed = True, version, utcnow()
        session.add(row)
        name = pool(project)
        Pool.create_or_update_pool(name, SLOTS, "tasks of a project", include_deferred=False, session=session)
        session.flush()
        errors: dict[tuple[str, str], str] = {}
        lazy = [LazyDeserializedDAG(data=each) for each in dags]
        update_dag_parsing_results_in_db(bundle, version, lazy, errors, None, set(), session)
        if errors:
            session.rollback()
            return {
                "refused": [f"{file}: {text.strip().splitlines()[-1]}" for (_, file), text in errors.items()]
            }
        old = DagModel.bundle_name == bundle
        session.execute(update(DagModel).where(old, DagModel.dag_id.not_in(ids)).values(is_stale=True))
        running = select(DagRun.bundle_version).join(DagModel, DagModel.dag_id == DagRun.dag_id)
        used = session.scalars(running.where(old, DagRun.state.in_(State.unfinished_dr_states)).distinct())
        files = {each["dag"]["dag_id"]: each["dag"]["relative_fileloc"] for each in dags}
        return {"dags": files, "used": sorted({version, *filter(None, used)})}


def remove(project: str) -> dict[str, Any]:
    """Delete a DAG with its runs."""
    from airflow.api.common.delete_dag import delete_dag
    from airflow.exceptions import AirflowException, DagNotFound
    from airflow.models import DagModel
    from airflow.utils.session import create_session

    name = json.loads(INPUT.read_text())["dag"]
    with create_session() as session:
        dag = session.get(DagModel, name)
        if dag is None or dag.bundle_name != f"{PREFIX}{project}":
            return {"refused": [f"project {project} has no DAG {name}"]}
        try:
            delete_dag(name, session=session)
        except DagNotFound:
            return {"refused": [f"project {project} has no DAG {name}"]}
        except AirflowException as error:
            return {"refused": [f"{name}: {error}"]}
    return {"removed": name}


if __name__ == "__main__":
    from platform_database import configure

    configure()
    found = {"push": push, "remove": remove}[sys.argv[1]](os.environ.get("PROJECT", ""))
    sys.stdout.write(f"\nRESULT {json.dumps(found)}\n")
