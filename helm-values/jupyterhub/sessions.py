"""The notebook of a person, as a browser uses it, for the smoke tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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

    def run(self, kernel: str, code: str) -> str:
        """Run a cell over a websocket; return what it prints or returns."""
        socket = self._browser.websocket(f"{self.url}api/kernels/{kernel}/channels")
        try:
            header = {"msg_id": uuid4().hex, "username": "", "session": uuid4().hex, "version": "5.3"}
            message = {
                "channel": "shell",
                "header": {**header, "msg_type": "execute_request"},
                "parent_header": {},
                "metadata": {},
                "content": {"code": code, "silent": False},
            }
            socket.send(json.dumps(message))
            return _output(socket, header["msg_id"])
        finally:
            socket.close()

    def _write(self, method: str, url: str, body: object = None) -> Any:
        answer = self._browser.must(url, method, headers=self._browser.xsrf(url), data=body)
        return answer.json if answer.body else None


def _output(socket: Any, asked: str) -> str:
    """The output of a cell, until its kernel is idle again."""
    text = ""
    while True:
        message = json.loads(socket.recv())
        if message["parent_header"].get("msg_id") != asked or message["channel"] != "iopub":
            continue
        content: dict[str, Any] = message["content"]
        if message["msg_type"] == "error":
            raise AssertionError(f"{content['ename']}: {content['evalue']}")
        text += str(content.get("text") or content.get("data", {}).get("text/plain", ""))
        if content.get("execution_state") == "idle":
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
