"""Login by the headers of the gateway, and rights in projects, which the API server decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from jupyterhub.auth import Authenticator
from platform_callers import Callers, grouped
from platform_limits import Answers, Denied
from platform_reviews import ApiServer, Caller, Reviews

AUDIENCE, GROUP = "jupyterhub", "notebooks.mlops-platform.io"
_VERB, _RESOURCE = "create", "servers"
_SIGNED_IN = "system:authenticated"
_SECONDS, _MOST = 10.0, 1
_MOST_PROJECTS = 200  # on the page; each is a review at the API server, kept for 10 s

reviews = Reviews(ApiServer(), AUDIENCE, GROUP)


class GatewayAuthenticator(Authenticator):
    """The person whom the gateway names, in every request: a cookie of the hub is not enough.

    Without this check a cookie that another person has left in the browser would count.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._callers = Callers(reviews)

    def normalize_username(self, username: str) -> str:
        """Keep capital letters: the API server takes `Ann` and `ann` for two people."""
        return username

    async def authenticate(self, handler: Any, data: Any) -> dict[str, Any] | None:
        return await self._person(handler)

    async def refresh_user(self, user: Any, handler: Any = None) -> dict[str, Any] | bool:
        """Return the person with the groups of now; False sends the browser to the login again."""
        if handler is None or handler.get_auth_token():
            return True  # a notebook with its own token, from inside the cluster
        person = await self._person(handler)
        return person if person and person["name"] == user.name else False

    async def _person(self, handler: Any) -> dict[str, Any] | None:
        raw = handler.request.headers.get_all()
        headers = grouped((name.encode("latin-1"), value.encode("latin-1")) for name, value in raw)
        if "authorization" in headers:
            return None  # the gateway removes it
        try:
            caller = await self._callers.caller(headers, handler.request.remote_ip)
        except Denied as denied:
            self.log.warning("login rejected: %s", denied.message)
            return None
        groups = [name for name in caller.groups if name != _SIGNED_IN]
        return {"name": caller.user, "groups": groups}


def caller_of(user: Any) -> Caller:
    """A person of the hub as the API server knows them."""
    return Caller(user.name, (*sorted(group.name for group in user.groups), _SIGNED_IN))


async def require_edit(user: Any, project: str) -> None:
    """Raise Denied (403) unless the person may have a notebook in the project."""
    await reviews.require(caller_of(user), _VERB, _RESOURCE, project)


class Projects:
    """The projects where a person may have a notebook."""

    def __init__(self, names: Callable[[], Awaitable[Iterable[str]]]) -> None:
        self._names = names
        self._all: Answers[None, list[str]] = Answers(_SECONDS, _MOST, time.monotonic)

    async def of(self, user: Any) -> list[str]:
        found = (await self._all.get(None, self._sorted))[:_MOST_PROJECTS]
        caller = caller_of(user)
        may = await asyncio.gather(*(reviews.allowed(caller, _VERB, _RESOURCE, name) for name in found))
        return [name for name, allowed in zip(found, may, strict=True) if allowed]

    async def _sorted(self) -> list[str]:
        return sorted(await self._names())
