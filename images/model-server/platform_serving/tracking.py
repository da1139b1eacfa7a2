"""The tracking server's REST API, as far as a download needs it; MLflow's client takes seconds to import.

The server knows the project by the token.
"""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Iterator
from threading import Event
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from platform_mlflow import token

from platform_serving.failures import Failure

_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_SECONDS, _PATIENCE_SECONDS = (
    60.0,
    60.0,
)  # of one read; while the server restarts or the pod's policies are new
_AGAIN = (429, 502, 503, 504)


class Tracking:
    """Reads model versions and their files. Every method raises Failure with a reason for the user."""

    def __init__(self) -> None:
        self._root = os.environ.get("MLFLOW_TRACKING_URI", "").rstrip("/")
        if not self._root:
            raise Failure("no tracking server: MLFLOW_TRACKING_URI is not set in this pod")

    def location(self, name: str, version: str) -> str:
        """The path of a version's files at the server."""
        asked = urlencode({"name": name, "version": version})
        try:
            uri = str(self._json(f"{_API}/model-versions/get-download-uri?{asked}").get("artifact_uri", ""))
        except _Answer as error:
            raise Failure(_reason(error, name, version)) from None
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise Failure(f"{name} version {version}: its files are at {uri}, not at the tracking server")
        return parts.path.strip("/")

    def walk(self, root: str, below: str = "") -> Iterator[tuple[str, int]]:
        """Path and size of each file in a folder and its folders."""
        asked = urlencode({"path": f"{root}/{below}".rstrip("/")})
        try:
            found = self._json(f"{_FILES}?{asked}").get("files", [])
        except _Answer as error:
            raise Failure(f"the files of the model cannot be read: {error}") from None
        for each in found:
            path = f"{below}/{each['path']}".lstrip("/")
            if each.get("is_dir"):
                yield from self.walk(root, path)
            else:
                yield path, int(each.get("file_size") or 0)

    def open(self, path: str) -> IO[bytes]:
        """The contents of a file, as a stream."""
        try:
            return self._open(f"{_FILES}/{quote(path)}")
        except _Answer as error:
            raise Failure(f"{path}: {error}") from None

    def _json(self, path: str) -> dict[str, Any]:
        with self._open(path) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def _open(self, path: str) -> IO[bytes]:
        """Send a request, again for a while if the server does not answer. Raises Failure and _Answer."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                headers = {"Authorization": f"Bearer {token()}"}
                answer: IO[bytes] = urlopen(  # noqa: S310 - http, inside the cluster
                    Request(self._root + path, headers=headers),  # noqa: S310
                    timeout=_SECONDS,
                )
                return answer
            except HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code not in _AGAIN or time.monotonic() > until:
                    raise _Answer(error.code, text) from None
            except FileNotFoundError as error:
                raise Failure(str(error)) from None
            except (URLError, OSError, http.client.HTTPException) as error:
                if time.monotonic() > until:
                    why = getattr(error, "reason", error)
                    raise Failure(f"the tracking server does not answer at {self._root}: {why}") from None
            Event().wait(0.3)


class _Answer(Exception):
    """An answer that is an error; its text is the server's message."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.code = status, ""
        try:
            found = json.loads(text)
            self.code, text = str(found.get("error_code", "")), str(found.get("message", text))
        except (ValueError, AttributeError):
            pass
        super().__init__(f"{status} {text.strip()[:500]}")


def _reason(error: _Answer, name: str, version: str) -> str:
    if error.status == 404 or error.code == "RESOURCE_DOES_NOT_EXIST":
        return f"model not found: {name} version {version}"
    if error.status in (401, 403):
        hint = "the pod's account has no right to read models: set serviceAccountName: server"
        return f"model cannot be read: {name} version {version}: {hint} ({error})"
    return f"model cannot be read: {name} version {version}: {error}"
