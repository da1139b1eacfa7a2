"""Answers nginx's question whether a caller may call the models of a project.

nginx asks before it reads the body of a request. A caller needs the right to get InferenceServices in the
namespace of the project, which both roles of a project have: the API server decides, for pods and people.
"""

from __future__ import annotations

import json
import re

from platform_callers import Callers, Headers, one
from platform_limits import Denied
from platform_reviews import Reviews

AUDIENCE, GROUP = "models", "serving.kserve.io"
_VERB, _RESOURCE = "get", "inferenceservices"
_PROJECT = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LONGEST_REASON = 300


class Authorizer:
    """Decides about one request by its headers."""

    def __init__(self, callers: Callers, reviews: Reviews) -> None:
        self._callers, self._reviews = callers, reviews

    async def caller(self, headers: Headers) -> str:
        """Return the name of the caller, if it has the right. Raises Denied."""
        caller = await self._callers.caller(headers, one(headers, "x-real-ip"))
        project = one(headers, "x-project")
        if not _PROJECT.fullmatch(project):
            raise Denied(404, "no project has this name; the address is /<project>/<model>/")
        await self._reviews.require(caller, _VERB, _RESOURCE, project)
        return caller.user

    async def answer(self, headers: Headers) -> tuple[int, dict[str, str]]:
        """Return 204, or 401 or 403 with the status for the client: nginx knows only these."""
        try:
            return 204, {"X-Caller": quoted(await self.caller(headers))}
        except Denied as denied:
            status = denied.status if denied.status in (401, 403) else 403
            return status, {"X-Denied": str(denied.status), "X-Reason": quoted(denied.message)}


def quoted(text: str) -> str:
    """The text as the inside of a JSON string, in ASCII, which a header can have."""
    return json.dumps(text[:_LONGEST_REASON])[1:-1]
