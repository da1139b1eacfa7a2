"""Tokens of a project for its notebooks: of the account of training jobs, never for the API server.

The object store knows the accounts of projects, and not those of people.
"""

from __future__ import annotations

import json
import os
from typing import Any

import access
from jupyterhub.apihandlers.base import APIHandler
from kubernetes_asyncio.client import ApiClient, CoreV1Api
from platform_limits import Denied
from tornado.web import HTTPError

_ACCOUNT, _SECONDS = "trainer", 3600
_COMMON: dict[str, Any] = json.loads(os.environ["PROJECT_PODS"])
AUDIENCES = frozenset(
    each["serviceAccountToken"]["audience"] for each in _COMMON["tokens"] if "serviceAccountToken" in each
)


def project_of(scopes: Any) -> str:
    """The project of the server whose token has these scopes, or '': a person's session has others."""
    found = scopes.get("access:servers")
    names = found.get("server", ()) if isinstance(found, dict) else ()
    return str(next(iter(names))).rpartition("/")[2] if len(names) == 1 else ""


class TokenHandler(APIHandler):
    """GET: a token for one audience, to a notebook with its own token."""

    async def get(self) -> None:
        project = project_of(self.parsed_scopes) if self.get_auth_token() else ""
        audience = self.get_query_argument("audience", "")
        if not project or audience not in AUDIENCES:
            raise HTTPError(403, "tokens are for notebooks, and for components with tokens of pods")
        try:
            await access.require_edit(self.current_user, project)
        except Denied as denied:
            raise HTTPError(denied.status, denied.message) from denied
        spec = {"spec": {"audiences": [audience], "expirationSeconds": _SECONDS}}
        async with ApiClient() as client:
            api = CoreV1Api(client)
            made = await api.create_namespaced_service_account_token(_ACCOUNT, project, spec)
        self.write({"token": made.status.token})
