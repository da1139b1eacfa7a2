"""The companion's server: HTTPS with the certificate of the installer, for the API server and the kubelet."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from mlops_platform.base import certificates

from tests import ROOT
from tests.unit.helm_values.pods import modules

NAME = "katib-companion.katib.svc"


@dataclass
class Running:
    port: int
    pool: urllib3.HTTPSConnectionPool

    def post(self, path: str, body: bytes, **headers: str) -> urllib3.BaseHTTPResponse:
        return self.pool.request("POST", path, body=body, headers=headers)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    held = certificates.authority("test")
    made = certificates.certificate(held, "katib.svc")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text(made[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with modules(ROOT / "helm-values/katib", ("calls", "recorder", "trials", "companion")) as loaded:
        server: Any = loaded["companion"].Server(0, context)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.server_address[1]
        pool = urllib3.HTTPSConnectionPool(
            "127.0.0.1", port, ca_cert_data=made["ca.crt"], server_hostname=NAME, assert_hostname=NAME,
            retries=False, timeout=20,
        )  # fmt: skip
        with pool:
            yield Running(port, pool)
        server.shutdown()
        thread.join()
        server.server_close()


def test_webhook_and_probe_answer_with_the_certificate(running: Running) -> None:
    answer = running.post("/mark-trials?timeout=5s", b'{"request": {"uid": "1"}}')
    assert (answer.status, json.loads(answer.data)["response"]["uid"]) == (200, "1")
    probe = running.pool.request("GET", "/healthz")
    assert (probe.status, probe.data) == (200, b"ok")


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/other", b"{}", {}, 404),
        ("/mark-trials", b"[]", {}, 400),
        ("/mark-trials", b"", {"Content-Length": str(1 << 30)}, 413),
    ],
)
def test_other_requests_are_errors(
    running: Running, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert running.post(path, body, **headers).status == status


def test_client_that_says_nothing_stops_no_other(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)):
        assert running.pool.request("GET", "/healthz").status == 200
