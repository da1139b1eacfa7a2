"""The notebook of a person, as a browser uses it, for the smoke tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from apiserver import PROJECT
from browsing import NOTEBOOKS, Browser
from probes import Probes, patiently

MEMBER, VIEWER, ADMINISTRATOR = "data-scientists", "viewers", "platform-admins"


class NotYetError(Exception):
    """The server is not ready yet."""


def people() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path("/run/secrets/people/people.json").read_text())
    return found


class Notebook:
    """The notebook of one person in the project, seen by the browser of another or the same person."""

    def __init__(self, browser: Browser, owner: str) -> None:
        self._browser = browser
        self._user = quote(owner, safe="@~")
        self.url = f"{NOTEBOOKS}/user/{self._user}/{PROJECT}/"
        self._api = f"{NOTEBOOKS}/hub/api/users/{self._user}"

    def start(self, size: str = "small") -> None:
        self._write("POST", f"{self._api}/servers/{PROJECT}", {"size": size})

    def stop(self) -> None:
        self._write("DELETE", f"{self._api}/servers/{PROJECT}")

    def require_state(self, state: str) -> None:
        servers = self._browser.must(self._api).json["servers"]
        found = servers.get(PROJECT, {})
        now = "ready" if found.get("ready") else "pending" if found.get("pending") else "stopped"
        if now != state:
            raise NotYetError(now)

    def open(self) -> None:
        self._browser.page(f"{self.url}lab")

    def kernel(self) -> str:
        return str(self._write("POST", f"{self.url}api/kernels", {})["id"])

    def last_activity(self) -> datetime:
        """The time that the culler compares with its limit."""
        text = self._browser.must(self._api).json["servers"][PROJECT]["last_activity"]
        return datetime.fromisoformat(text)

    def run(self, kernel: str, code: str) -> str:
        """Run a cell over a websocket; return what it prints or returns."""
        with self._asked(kernel, code) as (socket, message):
            return _output(socket, message)

    def begin(self, kernel: str, code: str) -> None:
        """Start a cell, and close the websocket when the kernel is busy."""
        with self._asked(kernel, code) as (socket, message):
            _busy(socket, message)

    @contextmanager
    def _asked(self, kernel: str, code: str) -> Iterator[tuple[Any, str]]:
        """A websocket over which a cell was sent, and the id of the message."""
        socket = self._browser.websocket(f"{self.url}api/kernels/{kernel}/channels")
        try:
            header = {"msg_id": uuid4().hex, "username": "", "session": uuid4().hex, "version": "5.3"}
            message = {
                "channel": "shell",
                "header": {**header, "msg_type": "execute_request"},
                "parent_header": {},
                "metadata": {},
                # Without it, a kernel may skip a cell that follows a failed one, and report no error.
                "content": {"code": code, "silent": False, "stop_on_error": False},
            }
            socket.send(json.dumps(message))
            yield socket, header["msg_id"]
        finally:
            socket.close()

    def _write(self, method: str, url: str, body: object = None) -> Any:
        answer = self._browser.must(url, method, headers=self._browser.xsrf(url), data=body)
        return answer.json if answer.body else None


def _messages(socket: Any, asked: str) -> Iterator[dict[str, Any]]:
    """What the kernel publishes about a cell."""
    while True:
        message = json.loads(socket.recv())
        if message["parent_header"].get("msg_id") == asked and message["channel"] == "iopub":
            yield message


def _busy(socket: Any, asked: str) -> None:
    next(m for m in _messages(socket, asked) if m["content"].get("execution_state") == "busy")


def _output(socket: Any, asked: str) -> str:
    """The output of a cell, until its kernel is idle again. Raises AssertionError with the cell's error."""
    text, failed = "", ""
    for message in _messages(socket, asked):
        content: dict[str, Any] = message["content"]
        if message["msg_type"] == "error":
            failed = f"{content['ename']}: {content['evalue']}"
        text += str(content.get("text") or content.get("data", {}).get("text/plain", ""))
        if content.get("execution_state") == "idle":
            break
    assert not failed, failed
    return text


@contextmanager
def started(probes: Probes, owner: dict[str, str], browser: Browser) -> Iterator[tuple[Notebook, str] | None]:
    """Log a person in and start the notebook with a kernel; stop it at the end. None if it does not start."""
    mine, kernel = Notebook(browser, owner["name"]), ""
    with probes.works("a member with `edit` starts a notebook"):
        browser.enter(owner)
        browser.home()
        mine.start()
        patiently(lambda: mine.require_state("ready"), NotYetError)
        mine.open()
        kernel = mine.kernel()
    if not kernel:
        yield None
        return
    try:
        yield mine, kernel
    finally:
        mine.stop()
        patiently(lambda: mine.require_state("stopped"), NotYetError)
