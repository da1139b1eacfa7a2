"""Requests to the API server, and its answers; an answer from 300 on is a KubeError with its message."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import urllib3

from mlops_platform.adapters.kube.errors import KubeError, rejected, unreachable
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import WaitTimedOut

FIELD_MANAGER = "mlops-platform"
JSON = "application/json"
_CONNECT_SECONDS = 5.0
_REDIRECTED = 300  # the API server sends no client elsewhere: an answer from 300 on is a refusal
_LATER = 429  # with Retry-After: nothing was done, and the same request may be sent again
_LATER_SECONDS = 15.0


class Requests(Protocol):
    """A connection to an API server: that of a kubeconfig, or that of a pod."""

    def request(
        self, method: str, path: str, body: object, headers: Mapping[str, str], timeout: tuple[float, Any]
    ) -> urllib3.BaseHTTPResponse:
        """Send one request; the body of the answer is not read yet. Raises HTTPError."""


class Transport:
    """The connection to one API server; thread-safe, connections are kept."""

    def __init__(self, kubeconfig: Path, connection: Requests) -> None:
        self.kubeconfig = kubeconfig
        self.connection = connection

    def kubectl(self, *arguments: str) -> str:
        """A kubectl command for the same cluster, to be pasted into a shell."""
        return shlex.join(["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments])

    def raw(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        seconds: float = 30,
    ) -> Any:
        """Send a request, return the parsed answer; text when it is not JSON, such as /readyz's."""
        response = self._send(method, path, body, content_type=content_type, accept=accept, seconds=seconds)
        if response.headers.get("Content-Type", "").startswith(JSON):
            return json.loads(response.data)
        return response.data.decode(errors="replace")

    def text(self, path: str) -> str:
        """Read a text, such as a log."""
        return self._send("GET", path, accept="*/*").data.decode(errors="replace")

    def lines(self, path: str) -> Iterator[str]:
        """Yield lines of a text as they are written, until it ends or the caller stops."""
        response = self._send("GET", path, accept="*/*", seconds=None, preload=False)
        rest = b""
        try:
            for chunk in response.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            response.close()
        if rest:
            yield rest.decode(errors="replace")

    def _send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = JSON,
        accept: str = JSON,
        seconds: float | None = 30,
        preload: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request until the API server does not ask to send it again later, as it does while the
        storage of a new kind starts, and under load."""
        headers = {"Accept": accept, "User-Agent": FIELD_MANAGER}
        if body is not None:
            headers["Content-Type"] = content_type
        seen: list[urllib3.BaseHTTPResponse] = []

        def answered() -> urllib3.BaseHTTPResponse | Pending:
            response = self._exchange(method, path, body, headers, seconds, preload=preload)
            seen[:] = [response]
            later = response.status == _LATER and "Retry-After" in response.headers
            return Pending("429") if later else response

        try:
            response = wait_until(
                "API server", answered, seconds=_LATER_SECONDS, first_delay=1, longest_delay=4
            )
        except WaitTimedOut:
            response = seen[0]
        if response.status >= _REDIRECTED:
            raise rejected(method, path, response)
        return response

    def _exchange(
        self,
        method: str,
        path: str,
        body: object,
        headers: dict[str, str],
        seconds: float | None,
        *,
        preload: bool,
    ) -> urllib3.BaseHTTPResponse:
        # A kept connection may have died with a restarted server; reading twice does no harm.
        tries = 2 if method == "GET" else 1
        while True:
            tries -= 1
            try:
                response = self.connection.request(method, path, body, headers, (_CONNECT_SECONDS, seconds))
                if preload or response.status >= _REDIRECTED:
                    response.read(cache_content=True)
                return response
            except (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError) as error:
                if not tries:
                    raise self._unreachable(error) from error
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> KubeError:
        return unreachable(str(self.connection), error, self.kubectl("get", "--raw", "/readyz"))
