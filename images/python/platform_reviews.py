"""TokenReviews and SubjectAccessReviews at the API server, with the token of this pod; needs urllib3."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import urllib3
from platform_limits import Answers, Budget, Clock, Denied

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 10.0  # a removed right, or a deleted pod, counts after this time
_MOST = 4096
_CONNECTIONS, _WAITING = 8, 128
_TIMEOUT = urllib3.Timeout(connect=2, read=5)
# A workspace that a caller names and may not use costs a review: so many at once, then so many per second.
_DENIED_AT_ONCE, _DENIED_PER_SECOND = 30, 3


@dataclass(frozen=True)
class Caller:
    """A pod's service account, with its namespace, or a person, without one."""

    user: str
    groups: tuple[str, ...]
    namespace: str = ""


class Api(Protocol):
    """The API server: a review goes there, and comes back with its status."""

    async def review(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of a new review. Raises Denied (503) if there is no answer."""
        ...


class ApiServer:
    """Connections to the API server in a few threads; `review` does not block the event loop."""

    def __init__(self, account: Path = _ACCOUNT) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._address = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._token = account / "token"
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS, ca_certs=str(account / "ca.crt"), retries=False
        )
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "reviews")
        self._waiting = 0

    async def review(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the status of a new review. Raises Denied (503) if there is no answer."""
        if self._waiting >= _WAITING:
            raise Denied(503, "too many reviews are waiting for the API server")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, self._post, api, kind, spec
            )
        finally:
            self._waiting -= 1

    def _post(self, api: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": api, "kind": kind, "spec": spec}
        headers = {
            "Authorization": f"Bearer {self._token.read_text().strip()}",  # the kubelet renews it
            "Content-Type": "application/json",
        }
        address = f"{self._address}/apis/{api}/{kind.lower()}s"
        try:
            answer = self._pool.request(
                "POST", address, body=json.dumps(body), headers=headers, timeout=_TIMEOUT
            )
        except urllib3.exceptions.HTTPError as error:
            raise Denied(503, f"the API server does not answer: {type(error).__name__}") from error
        if answer.status != 201:
            raise Denied(503, f"the API server answers a {kind} with {answer.status}")
        found: dict[str, Any] = answer.json()["status"]
        return found


class Reviews:
    """The answers of the API server about tokens and rights, kept for ten seconds.

    Tokens are for `audience`; rights are those on resources of the API group `group`.
    """

    def __init__(self, api: Api, audience: str, group: str, clock: Clock = time.monotonic) -> None:
        self._api, self.audience, self._group = api, audience, group
        self._access: Answers[tuple[str, ...], bool] = Answers(_SECONDS, _MOST, clock)
        self._denied = Budget(_DENIED_AT_ONCE, _DENIED_PER_SECOND, _MOST, clock)

    async def token(self, token: str) -> Caller | None:
        """Return the service account of a token, or None; not kept: see platform_callers.py."""
        spec = {"token": token, "audiences": [self.audience]}
        status = await self._api.review("authentication.k8s.io/v1", "TokenReview", spec)
        # An API server that does not know audiences answers without any.
        if not status.get("authenticated") or self.audience not in status.get("audiences", ()):
            return None
        user = status["user"]
        parts = user["username"].split(":")
        if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4:
            return None
        return Caller(user["username"], tuple(user.get("groups", ())), parts[2])

    async def require(self, caller: Caller, verb: str, resource: str, namespace: str = "") -> None:
        """Raise Denied (403) if the caller has not this right in the namespace; '' is the whole cluster."""
        if not await self._allowed(caller, verb, resource, namespace, limited=True):
            where = f"in project {namespace}" if namespace else "in this cluster"
            raise Denied(403, f"{caller.user} may not {verb} {resource} {where}")

    async def allowed(self, caller: Caller, verb: str, resource: str, namespace: str) -> bool:
        """Tell whether the caller has a right, in a namespace that the server names and not the caller."""
        return await self._allowed(caller, verb, resource, namespace, limited=False)

    async def _allowed(
        self, caller: Caller, verb: str, resource: str, namespace: str, *, limited: bool
    ) -> bool:
        # Without `extra` of the token: it names the pod, and RBAC does not read it.
        attributes = {"group": self._group, "resource": resource, "verb": verb, "namespace": namespace}
        spec = {"user": caller.user, "groups": list(caller.groups), "resourceAttributes": attributes}

        async def ask() -> bool:
            status = await self._api.review("authorization.k8s.io/v1", "SubjectAccessReview", spec)
            return bool(status.get("allowed"))

        async def asked() -> bool:
            return await (self._denied.spend(caller.user, ask) if limited else ask())

        return await self._access.get((caller.user, *caller.groups, verb, resource, namespace), asked)
