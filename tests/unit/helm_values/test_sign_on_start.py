"""Sign-on waits for the issuer: it reads the keys only once, and without them rejects all tokens."""

from __future__ import annotations

import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.paths import Paths

from tests.fakes.served import served

SCRIPT = Paths.default().assets / "helm-values" / "oauth2-proxy" / "start.sh"
ISSUER = "/v1/identity/oidc"


class _Issuer(BaseHTTPRequestHandler):
    sealed = True

    def do_GET(self) -> None:
        found = self.path == f"{ISSUER}/.well-known/openid-configuration"
        self.send_response(503 if self.sealed else 200 if found else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


def test_sign_on_starts_only_after_the_issuer_answers(tmp_path: Path) -> None:
    for name, does in (("redis-server", "exit 0"), ("redis-cli", "exit 0"), ("oauth2-proxy", 'echo "$@"')):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pairs = f"https://elsewhere.example.com=them,http://127.0.0.1:{port}{ISSUER}=us"
    started = subprocess.Popen(
        ["bash", str(SCRIPT), f"--extra-jwt-issuers={pairs}", "--last"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    )

    class Issuer(_Issuer):
        asked = threading.Event()

        def do_GET(self) -> None:
            super().do_GET()
            self.asked.set()

    try:
        with HTTPServer(("127.0.0.1", port), Issuer) as server, served(server):
            wait_until("a question", lambda: Issuer.asked.is_set() or Pending("none"), seconds=20)
            assert started.poll() is None, "the issuer has not answered yet"
            Issuer.sealed = False
            out, _ = started.communicate(timeout=20)
    finally:
        started.kill()
    assert out == f"--extra-jwt-issuers={pairs} --last\n"
