"""Reads over HTTP: what the page says of servers that fail, and answers that are too large."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


class Handler(BaseHTTPRequestHandler):
    """Answers by path; it keeps what it got."""

    got: dict[str, str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Handler.got = {"body": body.decode(), **{k.lower(): v for k, v in self.headers.items()}}
        status = 403 if self.path.endswith("/denied") else 200
        texts = {"/api/large": b"x" * (3 << 20), "/api/text": b"<html>", "/api/list": b"[]"}
        text = texts.get(self.path, b'{"runs": []}')
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tracking() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
        server.shutdown()
        thread.join()


@pytest.fixture
def cluster(
    scripts: SimpleNamespace, tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """The servers of a pod: nothing listens at the address of the API server."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    (tmp_path / "token").write_text("the-token\n")
    monkeypatch.setattr(scripts.reading, "_TOKEN", tmp_path / "token")
    made = scripts.reading.Cluster(tracking)
    made._token = tmp_path / "token"
    yield made
    made._others.clear()
    made._readers.shutdown()


def search(cluster: Any, path: str) -> Any:
    """Ask the tracking server about the project churn."""
    return asyncio.run(cluster.search(path, "churn", {"max_results": 1}))


def test_question_has_the_token_and_the_workspace_of_the_project(cluster: Any) -> None:
    assert search(cluster, "/runs") == {"runs": []}
    assert Handler.got["authorization"] == "Bearer the-token"
    assert Handler.got["x-mlflow-workspace"] == "churn" and '"max_results": 1' in Handler.got["body"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/denied", "the tracking server answers 403"),
        ("/large", "the tracking server answers with more than 2 MiB"),
        ("/text", "the tracking server does not answer in JSON"),
        ("/list", "the tracking server does not answer with an object"),
    ],
)
def test_answer_that_cannot_be_used_has_a_reason(
    scripts: SimpleNamespace, cluster: Any, path: str, why: str
) -> None:
    with pytest.raises(scripts.reading.Unread, match=f"^{why}$"):
        search(cluster, path)


def test_server_that_is_away_has_a_reason(scripts: SimpleNamespace, cluster: Any) -> None:
    with pytest.raises(scripts.reading.Unread, match="the API server does not answer"):
        asyncio.run(cluster.read("/api"))
