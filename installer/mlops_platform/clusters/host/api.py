"""A small client of the node's API server: JSON over TLS with the standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host.layout import API_PORT, Node


class Unreachable(StepError):
    """The API server did not answer, or not in time."""

    def __init__(self, why: str) -> None:
        super().__init__("the API server does not answer", why=why, transient=True)


class Api:
    """A client with one identity. Every call opens a connection; thread-safe."""

    def __init__(self, node: Node, pki: Path, identity: str, *, seconds: float = 5) -> None:
        self._address = str(node.address)
        self._seconds = seconds
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / f"{identity}.crt", pki / f"{identity}.key")

    def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Return status and answer ({} when it is not JSON). Raises Unreachable."""
        connection = self._connection(self._seconds)
        try:
            response = self._send(connection, method, path, body)
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if not response.headers.get("Content-Type", "").startswith("application/json"):
            return response.status, {}
        answer: dict[str, Any] = json.loads(text)
        return response.status, answer

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the object, or None for 404. Raises Unreachable, also for every other status."""
        status, answer = self.request("GET", path)
        if status == 404:
            return None
        if status != 200:
            raise Unreachable(f"GET {path}: {status} {answer.get('message', '')}".strip())
        return answer

    def watch(self, path: str, version: str, *, seconds: int = 300) -> Iterator[dict[str, Any]]:
        """Yield events since `version`, until the server ends the watch. Raises Unreachable."""
        connection = self._connection(seconds + 30)
        query = f"{path}?watch=1&timeoutSeconds={seconds}&resourceVersion={version}"
        try:
            response = self._send(connection, "GET", query, None)
            if response.status != 200:
                raise Unreachable(f"GET {query}: {response.status}")
            for line in response:
                event: dict[str, Any] = json.loads(line)
                yield event
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: half a line
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, API_PORT, context=self._tls, timeout=seconds)

    @staticmethod
    def _send(
        connection: http.client.HTTPSConnection, method: str, path: str, body: object
    ) -> http.client.HTTPResponse:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        return connection.getresponse()
