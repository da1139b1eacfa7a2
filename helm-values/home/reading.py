"""Reads of the server: objects at the API server, runs at the tracking server. No read blocks the loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import urllib3
from platform_reviews import ApiServer

_TOKEN = Path("/run/secrets/tracking/token")
_TIMEOUT = urllib3.Timeout(connect=2, read=5)
# An answer takes ten times its size while it is parsed, and a member can make large objects.
_LARGEST, _AT_ONCE = 2 << 20, 4

Content = dict[str, Any]


class Unread(Exception):
    """The reason why something could not be read, as the page shows it."""


class Source(Protocol):
    """What the page is made from."""

    async def read(self, path: str) -> Content:
        """Return the answer of the API server to a GET. Raises Unread."""
        ...

    async def search(self, path: str, project: str, body: Mapping[str, Any]) -> Content:
        """Return the answer of the tracking server about one project. Raises Unread."""
        ...


class Cluster(ApiServer):
    """The API server, with the account of this pod, and the tracking server, with a token for it."""

    def __init__(self, tracking: str) -> None:
        super().__init__()
        self._tracking = tracking
        self._others = urllib3.PoolManager(maxsize=_AT_ONCE, retries=False)
        self._readers = ThreadPoolExecutor(_AT_ONCE, "reads")

    async def read(self, path: str) -> Content:
        """Return the answer of the API server to a GET. Raises Unread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._get, path)

    async def search(self, path: str, project: str, body: Mapping[str, Any]) -> Content:
        """Return the answer of the tracking server about one project. Raises Unread."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._search, path, project, body
        )

    def _get(self, path: str) -> Content:
        headers = {"Authorization": f"Bearer {self._token.read_text().strip()}"}
        return _answer("the API server", self._pool, "GET", f"{self._address}{path}", headers)

    def _search(self, path: str, project: str, body: Mapping[str, Any]) -> Content:
        headers = {
            "Authorization": f"Bearer {_TOKEN.read_text().strip()}",
            "Content-Type": "application/json",
            "X-MLFLOW-WORKSPACE": project,
        }
        address = f"{self._tracking}{path}"
        return _answer("the tracking server", self._others, "POST", address, headers, json.dumps(body))


def _answer(
    server: str,
    pool: urllib3.PoolManager,
    method: str,
    address: str,
    headers: Mapping[str, str],
    body: str | None = None,
) -> Content:
    try:
        answer = pool.request(
            method, address, headers=headers, body=body, timeout=_TIMEOUT, preload_content=False
        )
        text = answer.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            answer.close()  # the rest is not read
            raise Unread(f"{server} answers with more than {_LARGEST >> 20} MiB")
        answer.release_conn()
    except urllib3.exceptions.HTTPError as error:
        raise Unread(f"{server} does not answer: {type(error).__name__}") from error
    if answer.status != 200:
        raise Unread(f"{server} answers {answer.status}")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Unread(f"{server} does not answer in JSON") from error
    if not isinstance(found, dict):
        raise Unread(f"{server} does not answer with an object")
    return found
