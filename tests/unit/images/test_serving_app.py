"""The HTTP interface of a served model, and its end without a lost request; the model is a stand-in."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from platform_serving.app import App  # type: ignore[import-not-found]

from tests import ROOT

SERVER = """
import sys
from types import SimpleNamespace
from platform_serving.app import App
from platform_serving.server import DrainingServer

class Double:
    version, inputs = "3", []
    def predict(self, given):
        if given.rows[0] == "fail":
            raise RuntimeError("broken")
        return [2 * each for each in given.rows]

def v2(result, model, version, id_):
    return {"model_version": version, "outputs": result}

outputs = SimpleNamespace(v1=lambda result: {"predictions": result}, v2=v2)
app = App("double", Double(), outputs, largest=1 << 20)
print("ready", flush=True)
DrainingServer(app, port=int(sys.argv[1]), shortest=0.3, longest=20).run()
"""


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    port: int
    opened: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self) -> http.client.HTTPConnection:
        self.opened.append(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))
        return self.opened[-1]


@pytest.fixture
def server() -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    paths = os.pathsep.join(str(ROOT / "images" / name) for name in ("model-server", "python"))
    command = [sys.executable, "-c", SERVER, str(port)]
    env = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        running = Running(process, port)
        _wait(running)
        yield running
        for each in running.opened:
            each.close()
        process.kill()


def _wait(running: Running) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            (first := running.connect()).connect()
            return first.close()
        except ConnectionRefusedError:
            assert time.monotonic() < until


def ask(connection: http.client.HTTPConnection, path: str, body: bytes | None = None) -> tuple[int, Any, str]:
    """Status, JSON and the header Connection of an answer."""
    connection.request("POST" if body is not None else "GET", path, body)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text), answer.getheader("connection", "")


def test_answers_and_mistakes(server: Running) -> None:
    rows = b'{"instances": [1, 2]}'
    one = server.connect()
    assert ask(one, "/v1/models/double:predict", rows)[:2] == (200, {"predictions": [2, 4]})
    status, found, _ = ask(one, "/v2/models/double/infer", b'{"inputs": []}')
    assert (status, found) == (400, {"error": '"inputs" is empty'})
    assert ask(one, "/v2/models/double/ready")[:2] == (200, {"name": "double", "ready": True})
    assert ask(one, "/v2/models/double")[1]["versions"] == ["3"]
    assert ask(one, "/v2/models/double/versions/4")[0] == 404
    assert ask(one, "/v1/models/other:predict", rows)[0] == 404
    assert ask(one, "/v2/repository/models/double/unload", b"")[0] == 404
    assert ask(one, "/v1/models/double:predict")[0] == 405
    status, found, _ = ask(one, "/v1/models/double:predict", b'{"instances": ["fail"]}')
    assert (status, found) == (500, {"error": "the model failed: RuntimeError: broken"})
    status, found, closes = ask(one, "/v1/models/double:predict", b" " * (2 << 20))
    assert (status, closes) == (413, "close")
    assert "more than 1 MiB" in found["error"]
    counted = _metrics(server)
    assert 'model_predictions_total{model="double",version="3",protocol="v1",code="200"} 1' in counted
    assert 'model_predictions_total{model="double",version="3",protocol="v2",code="400"} 1' in counted


def _metrics(server: Running) -> str:
    connection = server.connect()
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def test_end_waits_for_open_connections_and_loses_no_request(server: Running) -> None:
    """After SIGTERM, an open connection gets an answer that closes it; new ones are accepted meanwhile."""
    body, path = b'{"instances": [1]}', "/v1/models/double:predict"
    kept = server.connect()
    assert ask(kept, path, body)[2] == ""
    server.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 10
    while ask(fresh := server.connect(), path, body)[2] != "close":
        fresh.close()
        assert time.monotonic() < until
    assert ask(kept, path, body) == (200, {"predictions": [2]}, "close")
    assert server.process.wait(10) == 0


def test_busy_model_refuses_more_bodies_than_it_can_hold() -> None:
    app = App("busy", SimpleNamespace(version="", inputs=[]), SimpleNamespace(), largest=10)
    app._held = 35
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"0123456789"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/v1/models/busy:predict", "method": "POST", "headers": []}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
