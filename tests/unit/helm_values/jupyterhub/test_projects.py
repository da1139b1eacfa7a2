"""The end of a project at the hub: notebooks of this project are removed, and no others."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.error import HTTPError

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules

USERS = [
    {"name": "ada", "servers": {"churn": {}, "other": {}}},
    {"name": "bob@example.com", "servers": {"churn": {}}},
    {"name": "eve", "servers": {"other": {}}},
]


class Hub(BaseHTTPRequestHandler):
    """A hub that records deletions; `status` is its answer to them."""

    deleted: ClassVar[list[str]] = []
    status = 204
    token = ""

    def do_GET(self) -> None:
        type(self).token = self.headers["Authorization"]
        body = json.dumps(USERS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert json.loads(body) == {"remove": True}
        type(self).deleted.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    (tmp_path / "routes").write_text("key\n")
    Hub.deleted, Hub.status = [], 204
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HUB", f"http://127.0.0.1:{server.server_port}")
    with modules(ROOT / "helm-values/jupyterhub", ["projects"]) as found:
        monkeypatch.setattr(found["projects"], "_KEYS", tmp_path)
        yield found["projects"]
    server.shutdown()
    thread.join()
    server.server_close()


def test_notebooks_of_the_project_are_removed_and_no_others(projects: ModuleType) -> None:
    projects.remove("churn")
    assert Hub.deleted == [
        "/hub/api/users/ada/servers/churn",
        "/hub/api/users/bob%40example.com/servers/churn",
    ]
    assert Hub.token == f"token {hashlib.sha256(b'installer key').hexdigest()}"


def test_notebook_that_is_gone_meanwhile_is_no_error(projects: ModuleType) -> None:
    Hub.status = 404
    projects.remove("churn")


def test_hub_that_refuses_is_an_error(projects: ModuleType) -> None:
    Hub.status = 403
    with pytest.raises(HTTPError, match="403"):
        projects.remove("churn")
