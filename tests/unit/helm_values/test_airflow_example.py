"""The example's requests to the API server, at a server on loopback."""

from __future__ import annotations

import http.server
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from mlops_platform.base import certificates

from tests import ROOT
from tests.fakes.served import served
from tests.unit.helm_values.pods import modules

WEBHOOK = 'failed calling webhook "defaulter": connection refused'


class Server(http.server.ThreadingHTTPServer):
    """Gives the answers of the list, one after the other."""

    answers: list[int]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"message": "made" if status < 400 else WEBHOOK}).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = certificates.certificate(certificates.authority("test"), "localhost")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).write_text(made[name])
    (tmp_path / "token").write_text("token")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "localhost")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(running.server_port))
        with served(running):
            yield running


@pytest.fixture
def example(server: Server, tmp_path: Path) -> Iterator[ModuleType]:
    with modules(ROOT / "helm-values/airflow/example", ["project"]) as found:
        vars(found["project"])["ACCOUNT"] = tmp_path
        yield found["project"]


def test_write_waits_for_the_webhook_of_a_controller_that_restarts(
    example: ModuleType, server: Server
) -> None:
    server.answers = [500, 201]
    assert example.kubernetes("POST", "/apis/models", {}) == {"message": "made"}
    assert server.answers == []


@pytest.mark.parametrize("status", [404, 409])
def test_object_that_is_not_there_or_there_already_is_none(
    example: ModuleType, server: Server, status: int
) -> None:
    server.answers = [status]
    assert example.kubernetes("POST", "/apis/models", {}) is None


def test_rejected_write_is_an_error_with_its_reason_at_once(example: ModuleType, server: Server) -> None:
    server.answers = [403]
    with pytest.raises(RuntimeError, match=r"POST /apis/models: 403 .*failed calling webhook"):
        example.kubernetes("POST", "/apis/models", {})


def test_webhook_that_stays_away_is_an_error_with_its_reason(example: ModuleType, server: Server) -> None:
    vars(example)["RESTART_SECONDS"] = 0.1
    server.answers = [500]
    with pytest.raises(TimeoutError, match=r"POST /apis/models: 500 .*connection refused"):
        example.kubernetes("POST", "/apis/models", {})
