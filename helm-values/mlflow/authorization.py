"""Authorization of every request, as ASGI middleware around MLflow, in its process: nothing goes around it.

A workspace of MLflow is a namespace. A request needs the right of its route (routes.txt) in that namespace;
the API server decides, for pods and for people (docs/mlflow.md).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from platform_callers import TRUSTED, Callers, grouped, one
from platform_limits import Denied
from platform_reviews import Caller, Reviews
from rules import LOGIN, OPEN, REFUSED, Match, Rules

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADER = "x-mlflow-workspace"
# What MLflow does not get. It would trust none of it, but the next version may.
_REMOVED = frozenset({HEADER, "authorization", *TRUSTED})
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# MLflow decodes paths again after the server has: none of these is needed.
_ENCODED = re.compile(rb"%(2f|5c|25|2e|00)", re.IGNORECASE)
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
_AT_ONCE = 8  # reviews for one list of workspaces


class Authorization:
    """Passes a request on to MLflow, with one workspace, if its caller has the right of its route."""

    def __init__(self, app: App, rules: Rules, callers: Callers, reviews: Reviews) -> None:
        self._app, self._rules, self._callers, self._reviews = app, rules, callers, reviews

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or let MLflow answer it. The body is not read here."""
        if scope["type"] == "http":
            try:
                scope, send = await self._decided(scope, send)
            except Denied as denied:
                await _answer(send, denied)
                return
        elif scope["type"] != "lifespan":
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)

    async def _decided(self, scope: Scope, send: Send) -> tuple[Scope, Send]:
        """Return what MLflow gets. Raises Denied."""
        _check_path(scope)
        found = self._rules.match(scope["method"], scope["path"])
        headers = grouped(scope["headers"])
        if found.rule == OPEN:
            return _passed(scope), send
        client = scope.get("client")
        caller = await self._callers.caller(headers, client[0] if client else "")
        if found.rule == REFUSED:
            raise Denied(403, f"{scope['method']} {scope['path']} is not used here (docs/mlflow.md)")
        if found.rule == LOGIN:
            return _passed(scope), send
        if found.rule.resource == "workspaces":
            return await self._workspaces(scope, send, caller, found)
        workspace = one(headers, HEADER) or caller.namespace
        if not _NAMESPACE.fullmatch(workspace):
            raise Denied(400, "name a workspace: mlflow.set_workspace, or MLFLOW_WORKSPACE")
        await self._reviews.require(caller, found.rule.verb, found.rule.resource, workspace)
        return _passed(scope, workspace), send

    async def _workspaces(self, scope: Scope, send: Send, caller: Caller, found: Match) -> tuple[Scope, Send]:
        """Workspaces that the caller may read; only the platform creates and deletes them."""
        verb = found.rule.verb
        if verb == "list":
            return _passed(scope), self._filtered(caller, send)
        if verb != "get":
            await self._reviews.require(caller, verb, "workspaces")
            return _passed(scope), send
        (name,) = found.segments
        if not _NAMESPACE.fullmatch(name):
            raise Denied(400, "this is no name of a workspace")
        await self._reviews.require(caller, "get", "experiments", name)
        return _passed(scope, name), send

    def _filtered(self, caller: Caller, send: Send) -> Send:
        """Remove from MLflow's list the workspaces that the caller may not read."""
        start: Message = {}
        body = bytearray()

        async def filtered(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            try:
                text = await self._readable(caller, bytes(body)) if start["status"] == 200 else bytes(body)
            except Denied as denied:
                await _answer(send, denied)
                return
            kept = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
            await send({**start, "headers": [*kept, (b"content-length", b"%d" % len(text))]})
            await send({"type": "http.response.body", "body": text})

        return filtered

    async def _readable(self, caller: Caller, body: bytes) -> bytes:
        listed = json.loads(body)
        found = listed.get("workspaces", [])
        kept: list[Any] = []
        for i in range(0, len(found), _AT_ONCE):
            part = found[i : i + _AT_ONCE]
            may = (self._reviews.allowed(caller, "get", "experiments", each["name"]) for each in part)
            kept += [each for each, allowed in zip(part, await asyncio.gather(*may), strict=True) if allowed]
        return json.dumps({**listed, "workspaces": kept}).encode()


def _check_path(scope: Scope) -> None:
    """Raise Denied (400) for a path that MLflow could read as another one."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    strange = "//" in path or "\\" in path or "\0" in path or {".", ".."} & set(path.split("/"))
    if scope.get("root_path") or strange or _ENCODED.search(raw):
        raise Denied(400, "this path has parts that are not allowed")


def _passed(scope: Scope, workspace: str = "") -> Scope:
    """The request for MLflow: with this workspace, without the identity of the caller.

    A WSGI program, as a part of MLflow is, cannot tell a header with an underscore from one with a dash.
    """
    kept = [
        (k, v) for k, v in scope["headers"] if b"_" not in k and k.decode("latin-1").lower() not in _REMOVED
    ]
    if workspace:
        kept.append((HEADER.encode(), workspace.encode()))
    return {**scope, "headers": kept}


async def _answer(send: Send, denied: Denied) -> None:
    body = json.dumps({"error_code": _CODES[denied.status], "message": denied.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += _extra(denied.status)
    await send({"type": "http.response.start", "status": denied.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _extra(status: int) -> Iterable[tuple[bytes, bytes]]:
    """MLflow's client sends a request again after 429 and 503."""
    return {401: [(b"www-authenticate", b"Bearer")], 429: [(b"retry-after", b"2")]}.get(status, [])
