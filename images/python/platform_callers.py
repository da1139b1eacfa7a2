"""The caller of a request: a pod with a token for this server, or a person whom the gateway has signed in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from platform_limits import Answers, Budget, Clock, Denied
from platform_reviews import Caller, Reviews

Headers = Mapping[str, tuple[bytes, ...]]

_SECONDS, _MOST = 10.0, 4096
# Tokens that look right and are not: so many at once from one address, then so many per second.
_WRONG_AT_ONCE, _WRONG_PER_SECOND = 10, 1
_LONGEST_TOKEN = 8192
_EXPIRED_SECONDS = 60  # clocks differ; the API server decides about the last minute
_PROXY_SECRET = Path("/run/secrets/proxy")
_SIGNED_IN = "system:authenticated"  # the API server adds it to every user, and a review does not
TRUSTED = ("x-platform-proxy", "x-forwarded-user", "x-forwarded-preferred-username", "x-forwarded-groups")


class Callers:
    """Callers by their token or their headers. A bearer token counts more than headers."""

    def __init__(
        self, reviews: Reviews, proxy_secret: Path = _PROXY_SECRET, clock: Clock = time.monotonic
    ) -> None:
        self._reviews, self._proxy_secret = reviews, proxy_secret
        self._tokens: Answers[bytes, Caller | None] = Answers(_SECONDS, _MOST, clock)
        self._wrong = Budget(_WRONG_AT_ONCE, _WRONG_PER_SECOND, _MOST, clock)

    async def caller(self, headers: Headers, address: str) -> Caller:
        """Return the caller. Raises Denied (401) without a right token or the gateway's headers."""
        through_gateway = self._from_gateway(headers)
        if "authorization" in headers:
            # All that comes through the gateway has its address; it says from where that came.
            sender = one(headers, "x-forwarded-for") if through_gateway else address
            return await self._pod(one(headers, "authorization"), sender)
        if not through_gateway:
            raise Denied(
                401, f"a token for {self._reviews.audience} is needed, or a login through the gateway"
            )
        return _person(headers)

    async def _pod(self, authorization: str, sender: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not plausible(token, self._reviews.audience, time.time()):
            raise Denied(401, f"this is no service account token with the audience {self._reviews.audience}")

        async def ask() -> Caller | None:
            return await self._wrong.spend(sender, lambda: self._reviews.token(token))

        found = await self._tokens.get(hashlib.sha256(token.encode()).digest(), ask)
        if not found:
            raise Denied(401, "the API server does not know this token, or it has ended")
        return found

    def _from_gateway(self, headers: Headers) -> bool:
        given = one(headers, "x-platform-proxy")
        if not given:
            return False
        # Read for each request: a rotation adds `previous`, until the gateway has the new value.
        files = (self._proxy_secret / name for name in ("value", "previous"))
        known = [file.read_bytes().strip() for file in files if file.is_file()]
        return any(hmac.compare_digest(given.encode(), each) for each in known if each)


def _person(headers: Headers) -> Caller:
    user = one(headers, "x-forwarded-preferred-username") or one(headers, "x-forwarded-user")
    groups = tuple(g.strip() for g in one(headers, "x-forwarded-groups").split(",") if g.strip())
    if not user:
        raise Denied(401, "the gateway names no user")
    # A review for the group system:masters allows everything, and system: users are programs.
    if ":" in user or any(name.lower().startswith("system:") for name in groups):
        raise Denied(403, "the name of a person has a colon, or that of a group begins with system:")
    # Clusters give rights to groups such as kubeadm:cluster-admins; no member of a project has such a name.
    return Caller(user, (*(name for name in groups if ":" not in name), _SIGNED_IN))


def plausible(token: str, audience: str, now: float) -> bool:
    """Tell whether a token looks like a service account token for the audience; its signature is not checked.

    Any other text costs the API server no review.
    """
    if not 0 < len(token) <= _LONGEST_TOKEN or token.count(".") != 2:
        return False
    head, body = map(_part, token.split(".")[:2])
    given = body.get("aud")
    audiences = given if isinstance(given, list) else [given]
    ends, subject = body.get("exp"), body.get("sub")
    return (
        isinstance(head.get("alg"), str)
        and head["alg"].lower() != "none"
        and audience in audiences
        and isinstance(subject, str)
        and subject.startswith("system:serviceaccount:")
        and isinstance(ends, int | float)
        and ends + _EXPIRED_SECONDS > now
    )


def _part(text: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def grouped(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return all values of each header, by its name in lower case."""
    found: dict[str, tuple[bytes, ...]] = {}
    for name, value in headers:
        key = name.decode("latin-1").lower()
        found[key] = (*found.get(key, ()), value)
    return found


def one(headers: Headers, name: str) -> str:
    """Return the only value of a header, or ''. Raises Denied (400) if there are two, or it is no text."""
    values = headers.get(name, ())
    if len(values) > 1:
        raise Denied(400, f"two headers {name}")
    try:
        return values[0].decode().strip() if values else ""
    except UnicodeDecodeError as error:
        raise Denied(400, f"header {name} is not UTF-8") from error
