"""Rules for projects in Airflow: who may use a DAG, and what a task may ask of the Execution API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import parse_qs

PREFIX = "project."  # of the names of bundles, before the project's
ALL = {"Admin", "Op"}  # roles with every project: administrators, and the account of machines
READ = ("GET", "MENU")
_ID = r"[^/]+"
# Paths of a task's own instance: Airflow compares {id} with the token on most of them, the guard on all.
_OWN = re.compile(
    rf"/(?:task-instances/(?P<id>{_ID})/(?:run|state|heartbeat|rtif|rendered-map-index|skip-downstream"
    r"|previous-successful-dagrun|validate-inlets-and-outlets)"
    rf"|task-reschedules/(?P<id2>{_ID})/start_date|store/ti/(?P<id3>{_ID})(?:/.+)?)"
)
# Paths with the id of a DAG.
_DAG = re.compile(
    rf"/(?:dags/(?P<dag>{_ID})|xcoms/(?P<dag2>{_ID})/.+|task-instances/previous/(?P<dag3>{_ID})/{_ID}"
    rf"|dag-runs/(?P<dag4>{_ID})/.+)"
)
_QUERY = re.compile(r"/(?:task-instances/(?:count|states|breadcrumbs)|dag-runs/(?:count|previous))")
_KEY = re.compile(r"/(?:variables|connections)/(?P<key>[^/]+)")
_STATES = {"success", "failed", "skipped", "removed", "up_for_retry", "up_for_reschedule"}


def project_of(bundle: str) -> str:
    """The project of a bundle; '' for a bundle of the platform."""
    return bundle.removeprefix(PREFIX) if bundle.startswith(PREFIX) else ""


def may(roles: Iterable[str], project: str, method: str) -> bool:
    """Whether a user with these roles may use a DAG of the project."""
    names = set(roles)
    if names & ALL or f"project-{project}-edit" in names:
        return True
    return method in READ and f"project-{project}-view" in names


def needs(project: str, subject: str, path: str, query: str) -> str | None:
    """'' if a task of the project may use the path, the id of a DAG that must be the project's, or None.

    A path that is not known is not allowed.
    """
    if own := _OWN.fullmatch(path):
        return "" if subject in own.groups() else None
    if key := _KEY.fullmatch(path):
        return "" if key["key"].startswith(f"{project}.") else None
    if dag := _DAG.fullmatch(path):
        return str(next(filter(None, dag.groups())))
    named = parse_qs(query, keep_blank_values=True).get("dag_id", [])
    return named[0] if _QUERY.fullmatch(path) and len(named) == 1 and named[0] else None


def state_problem(body: bytes) -> str:
    """Why a task of a project must not report this state; '' if it may.

    The triggerer would continue a deferred task with a class and arguments that the task chooses.
    """
    try:
        wanted = json.loads(body)
        state = wanted.get("state")
    except (ValueError, AttributeError):
        return "not a state"
    if state not in _STATES:
        return f"tasks of projects cannot be {state}: use mode='reschedule' in place of deferrable=True"
    if wanted.get("task_outlets") or wanted.get("outlet_events"):
        return "tasks of projects have no assets"
    return ""
