"""The check of new keys, with a proxy and a hub on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules


class Server(ThreadingHTTPServer):
    """A server that accepts these tokens."""

    accepted: frozenset[str] = frozenset()


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        token = self.headers["Authorization"].removeprefix("token ")
        self.send_response(200 if token in self.server.accepted else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Answer) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def rotate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: Server) -> Iterator[ModuleType]:
    monkeypatch.setenv("HOST", "127.0.0.1")
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes").write_text(f"{name}\n")
    with modules(ROOT / "helm-values/jupyterhub", ["rotate"]) as found:
        module = found["rotate"]
        url = f"http://127.0.0.1:{server.server_port}"
        for name, value in {"SECRETS": tmp_path, "ROUTES": url, "HUB": url, "_SECONDS": 0}.items():
            monkeypatch.setattr(module, name, value)
        yield module


def tokens(*keys: str) -> frozenset[str]:
    derived = (hashlib.sha256(f"installer {key}".encode()).hexdigest() for key in keys)
    return frozenset((*keys, *derived))


def test_new_keys_are_accepted_and_old_ones_rejected(rotate: ModuleType, server: Server) -> None:
    server.accepted = tokens("new")
    rotate.prove()


@pytest.mark.parametrize("accepted", [tokens("new", "old"), tokens(), tokens("new") - {"new"}])
def test_every_other_answer_fails(rotate: ModuleType, server: Server, accepted: frozenset[str]) -> None:
    server.accepted = accepted
    with pytest.raises(SystemExit, match="answers to the new keys"):
        rotate.prove()


def test_ports_are_those_of_the_component(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "h")
    with modules(ROOT / "helm-values/jupyterhub", ["rotate"]) as found:
        assert (found["rotate"].ROUTES, found["rotate"].HUB) == ("http://h:8001", "http://h:8081")
