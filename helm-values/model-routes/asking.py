"""Requests of the smoke tests: through the gateway as from outside, or to the port for pods of projects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import urllib3
from apiserver import PROJECT

SITE, DOMAIN, GATEWAY, INSIDE = (os.environ[name] for name in ("SITE", "DOMAIN", "GATEWAY", "INSIDE"))
_AUTHORITY = Path(__file__).with_name("authority.crt")
_TOKEN = Path("/run/secrets/token/token")
_HOST = f"models.{DOMAIN}"
_TIMEOUT = urllib3.Timeout(30)


class Refused(Exception):
    """An answer of 400 or more: '403 {"error": …'."""


class AnotherError(Exception):
    """An answer that is not the expected one yet."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    """A client with kept-open connections, at the gateway or inside."""

    def __init__(self, *, inside: bool = False) -> None:
        self._inside = inside

    @cached_property
    def _pool(self) -> urllib3.HTTPConnectionPool:
        host, _, port = (INSIDE if self._inside else GATEWAY).rpartition(":")
        if self._inside:
            return urllib3.HTTPConnectionPool(host, int(port), timeout=_TIMEOUT, retries=False, maxsize=8)
        return urllib3.HTTPSConnectionPool(
            host,
            int(port),
            ca_certs=str(_AUTHORITY),
            server_hostname=_HOST,
            assert_hostname=_HOST,
            timeout=_TIMEOUT,
            retries=False,
            maxsize=8,
        )

    def ask(
        self, path: str, *, token: str = "", headers: Mapping[str, str] | None = None, data: object = None
    ) -> Answer:
        """Send a GET, or a POST with `data`."""
        sent = {"Host": f"models.{SITE}", **(headers or {})}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        body = None if data is None else json.dumps(data).encode()
        got = self._pool.urlopen(
            "GET" if data is None else "POST", path, body=body, headers=sent, redirect=False
        )
        return Answer(got.status, dict(got.headers), got.data)

    def must(self, path: str, **how: Any) -> Answer:
        """Like `ask`, but raise Refused for 400 and above."""
        answer = self.ask(path, **how)
        if answer.status >= 400:
            raise Refused(f"{answer.status} {answer.body[:200].decode(errors='replace')}")
        return answer


def token() -> str:
    """The token of this pod's account for the models."""
    return _TOKEN.read_text().strip()


def path_of(model: str, project: str = PROJECT) -> str:
    return f"/{project}/{model}/v1/models/{model}:predict"
