"""Who may see which DAG: DAGs of projects are for members only, also where a role may see all DAGs.

The guard limits what a task of a project may ask of the API server: Airflow trusts every task with every
connection, variable, XCom and DAG (airflow/api_fastapi/execution_api/routes/connections.py, 3.3.2).
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import jwt
from airflow.models import DagModel, TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.utils.session import create_session, create_session_async
from platform_rules import PREFIX, may, needs, project_of, state_problem
from sqlalchemy import select

MOST_BODY = 4 * 1024 * 1024


class PlatformFabAuthManager(FabAuthManager):
    """FAB's auth manager, with the DAGs of projects for their members only."""

    def get_fastapi_middlewares(self) -> Any:
        return [*super().get_fastapi_middlewares(), (ProjectGuard, {})]

    def _is_authorized_dag(self, method: Any, details: Any, user: Any) -> bool:
        if details and details.id:
            with create_session() as session:
                bundle = session.scalar(select(DagModel.bundle_name).where(DagModel.dag_id == details.id))
            if project := project_of(bundle or ""):
                return may(_roles(user), project, method)
        return bool(super()._is_authorized_dag(method=method, details=details, user=user))

    def _is_authorized_list_dags(self, *, user: Any) -> bool:
        mine = any(role.startswith("project-") for role in _roles(user))
        return mine or super()._is_authorized_list_dags(user=user)

    def get_authorized_dag_ids(self, *, user: Any, method: Any = "GET", **options: Any) -> set[str]:
        found: set[str] = super().get_authorized_dag_ids(user=user, method=method, **options)
        with create_session() as session:
            rows = select(DagModel.dag_id, DagModel.bundle_name).where(
                DagModel.bundle_name.startswith(PREFIX)
            )
            projects = {dag: project_of(bundle) for dag, bundle in session.execute(rows)}
        roles = _roles(user)
        mine = {dag for dag, project in projects.items() if may(roles, project, method)}
        return found - projects.keys() | mine


def _roles(user: Any) -> set[str]:
    return {role.name for role in getattr(user, "roles", None) or []}


class ProjectGuard:
    """Middleware: a task of a project reaches its own project through the Execution API, and nothing else."""

    def __init__(self, app: Any) -> None:
        self._app, self._projects = app, dict[str, str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or not path.startswith("/execution/"):
            await self._app(scope, receive, send)
            return
        token = _token(scope)
        if token is None:  # a path without a login, or Airflow's answer 401
            await self._app(scope, receive, send)
            return
        subject = _subject(token)
        project = await self._project(subject, path)
        if project is None:
            await _forbid(send, "the task of this token is not known")
            return
        if project:
            part = path.removeprefix("/execution")
            query = scope.get("query_string", b"").decode("latin-1")
            dag = needs(project, subject, part, query)
            if dag is None or (dag and not await _in_project(dag, project)):
                await _forbid(send, f"a task of project {project} has no access to {part}")
                return
            if scope["method"] == "PATCH" and part.endswith("/state"):
                body, receive = await _read(receive)
                if why := state_problem(body):
                    await _forbid(send, why)
                    return
        await self._app(scope, receive, send)

    async def _project(self, subject: str, path: str) -> str | None:
        """The project of the task with this id; '' for a task of the platform; None if it is not known."""
        if (known := self._projects.get(subject)) is not None:
            return known
        try:
            wanted = UUID(subject)
        except ValueError:
            return None
        async with create_session_async() as session:
            for model, column in (
                (TaskInstance, TaskInstance.id),
                (TaskInstanceHistory, TaskInstanceHistory.task_instance_id),
            ):
                query = select(DagModel.bundle_name).join(model, model.dag_id == DagModel.dag_id)
                bundle = await session.scalar(query.where(column == wanted))
                if bundle is not None:
                    if len(self._projects) > 10_000:
                        self._projects.clear()
                    return self._projects.setdefault(subject, project_of(bundle))
        # Tests of connections and callbacks of deadlines have other subjects; projects have neither.
        return "" if path.startswith(("/execution/connection-tests/", "/execution/connections/")) else None


async def _in_project(dag_id: str, project: str) -> bool:
    async with create_session_async() as session:
        bundle = await session.scalar(select(DagModel.bundle_name).where(DagModel.dag_id == dag_id))
    return project_of(bundle or "") == project


def _token(scope: Any) -> str | None:
    """The bearer token, as FastAPI finds it: of the first header."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" and token.strip() else None
    return None


def _subject(token: str) -> str:
    """The id in the token. Airflow checks the signature of the same token afterwards."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("sub", ""))
    except jwt.InvalidTokenError:
        return ""


async def _read(receive: Any) -> tuple[bytes, Any]:
    """The body of the request, and a function that gives it to the application again."""
    body, more = b"", True
    while more and len(body) <= MOST_BODY:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": more}

    return body, again


async def _forbid(send: Any, why: str) -> None:
    body = json.dumps({"detail": {"reason": "access_denied", "message": why}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
