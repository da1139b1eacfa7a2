"""Logins at an OIDC issuer on loopback, with TLS and a certificate authority of its own."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from mlops_platform.adapters.oidc import Flow, Issuer, in_browser
from mlops_platform.base import certificates
from mlops_platform.base.errors import StepError

from tests.fakes.served import served

DOMAIN, CLIENT = "test.localhost", "client"
AUTHORITY = certificates.authority("test")


class Server(http.server.ThreadingHTTPServer):
    """An issuer; `changes` are claims of its tokens, `configuration` replaces its discovery document."""

    changes: dict[str, Any]
    configuration: dict[str, Any]
    nonce = ""
    challenge = ""
    forms: list[dict[str, str]]

    @property
    def origin(self) -> str:
        return f"https://login.{DOMAIN}:{self.server_port}"

    @property
    def issuer(self) -> str:
        return f"{self.origin}/issuer"

    def token(self) -> str:
        claims = {"iss": self.issuer, "aud": CLIENT, "exp": 2**33, "nonce": self.nonce, **self.changes}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        return f"e30.{body}.c2ln"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        known = {
            "issuer": self.server.issuer,
            "authorization_endpoint": f"{self.server.origin}/authorize",
            "token_endpoint": f"{self.server.origin}/token",
        }
        self._answer(200, {**known, **self.server.configuration})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {key: values[0] for key, values in parse_qs(text).items()}
        self.server.forms.append(form)
        if form.get("code") != "good":
            self._answer(400, {"error": "invalid_grant", "error_description": "code expired"})
        else:
            self._answer(200, {"id_token": self.server.token()})

    def _answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = certificates.certificate(AUTHORITY, DOMAIN)
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text(made[name])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.changes, running.configuration, running.forms = {}, {}, []
        running.socket = context.wrap_socket(running.socket, server_side=True)
        with served(running):
            yield running


@pytest.fixture
def issuer(server: Server) -> Issuer:
    return Issuer(server.issuer, AUTHORITY["ca.crt"])


def browser(
    server: Server, change: Callable[[dict[str, str]], None] = lambda _: None
) -> Callable[[str], None]:
    """Log in as a browser does: follow the URL, then the redirect to this machine, in another thread."""

    def visit(url: str) -> None:
        asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        server.nonce = asked["nonce"]
        given = {"code": "good", "state": asked["state"]}
        change(given)

        def back() -> None:
            there = asked["redirect_uri"]
            for wrong in ("/other", "/callback?code=evil&state=guessed"):
                with pytest.raises(urllib.error.HTTPError):
                    urllib.request.urlopen(there.replace("/callback", wrong))
            urllib.request.urlopen(f"{there}?{urlencode(given)}")

        threading.Thread(target=back).start()

    return visit


def test_login_in_a_browser_gives_the_token(server: Server, issuer: Issuer) -> None:
    token = in_browser(issuer, CLIENT, browser(server))
    assert token.text == server.token() and token.expires == 2**33
    (form,) = server.forms
    assert form["client_id"] == CLIENT and len(form["code_verifier"]) >= 43
    assert urlsplit(form["redirect_uri"]).hostname == "127.0.0.1"


def test_issuer_that_refuses_in_the_browser_is_an_error(server: Server, issuer: Issuer) -> None:
    def refuse(given: dict[str, str]) -> None:
        del given["code"]
        given["error"] = "access_denied"

    with pytest.raises(StepError, match="refused the login") as error:
        in_browser(issuer, CLIENT, browser(server, refuse))
    assert error.value.why == "access_denied"


@pytest.mark.parametrize(
    "changes", [{"nonce": "another"}, {"iss": "https://another"}, {"aud": "another"}, {"aud": ["another"]}]
)
def test_token_of_another_login_is_refused(server: Server, issuer: Issuer, changes: dict[str, Any]) -> None:
    server.changes = changes
    flow = Flow(issuer, CLIENT, "http://127.0.0.1/callback")
    server.nonce = flow.query["nonce"]
    with pytest.raises(StepError, match="token of another login"):
        flow.redeem("good")


def test_answer_without_a_token_is_an_error(server: Server, issuer: Issuer) -> None:
    server.changes = {"exp": "soon"}
    with pytest.raises(StepError, match="without an ID token"):
        Flow(issuer, CLIENT, "http://127.0.0.1/callback").redeem("good")


def test_refused_code_shows_the_reason_of_the_issuer(issuer: Issuer) -> None:
    with pytest.raises(StepError, match="refused the login: 400") as error:
        Flow(issuer, CLIENT, "http://127.0.0.1/callback").redeem("old")
    assert error.value.why == "code expired"


def test_configuration_cannot_send_the_code_to_another_server(server: Server, issuer: Issuer) -> None:
    server.configuration = {"token_endpoint": "https://login.elsewhere.example/token"}
    with pytest.raises(StepError, match="names another server"):
        Flow(issuer, CLIENT, "http://127.0.0.1/callback").redeem("good")


def test_issuer_with_another_name_is_refused(server: Server, issuer: Issuer) -> None:
    server.configuration = {"issuer": "https://another"}
    with pytest.raises(StepError, match="is another issuer"):
        _ = issuer.configuration


def test_certificate_of_another_authority_is_refused(server: Server) -> None:
    other = Issuer(server.issuer, certificates.authority("other")["ca.crt"])
    with pytest.raises(StepError, match="does not answer") as error:
        _ = other.configuration
    assert "certificate" in error.value.why.lower()


def test_plain_http_is_refused() -> None:
    with pytest.raises(StepError, match="names another server"):
        _ = Issuer("http://127.0.0.1:1").configuration
