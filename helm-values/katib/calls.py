"""Requests to the API server with the token of this pod."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = urllib3.Timeout(connect=2, read=10)
_CONNECTIONS = 8

Object = dict[str, Any]


class CallError(Exception):
    """The API server refused a request (`status`), or did not answer (0)."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(f"{status} {what}" if status else what)
        self.status = status


class ApiServer:
    """Connections to the API server, for several threads."""

    def __init__(self, account: Path = _ACCOUNT) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._address = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._token = account / "token"
        self._pool = urllib3.PoolManager(
            maxsize=_CONNECTIONS, ca_certs=str(account / "ca.crt"), retries=False, timeout=_TIMEOUT
        )

    def items(self, path: str, **query: str) -> list[Object]:
        """The objects of a list. Raises CallError."""
        found: list[Object] = self.call("GET", f"{path}?{urlencode(query)}").get("items") or []
        return found

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Object:
        """Send one request and return the answer. Raises CallError."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        # The kubelet renews the token in its file.
        headers = {"Authorization": f"Bearer {self._token.read_text()}", "Content-Type": kind}
        data = json.dumps(body).encode() if body is not None else None
        try:
            answer = self._pool.request(method, f"{self._address}{path}", body=data, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            raise CallError(0, f"the API server does not answer: {error}") from error
        if answer.status >= 300:
            raise CallError(answer.status, _message(answer.data))
        found: Object = json.loads(answer.data)
        return found


def _message(data: bytes) -> str:
    """The message of a Status, or the text itself."""
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")[:500]
