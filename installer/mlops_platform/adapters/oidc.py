"""A login at an OIDC issuer by the authorization code flow with PKCE, for programs on a user's machine.

https://www.rfc-editor.org/rfc/rfc8252 (native apps), https://www.rfc-editor.org/rfc/rfc7636 (PKCE)
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3

from mlops_platform.base.errors import StepError

SCOPE = "openid profile groups email"
REDIRECT = "http://127.0.0.1/callback"  # registered without a port: any port may follow (RFC 8252, 7.3)
_LOOPBACK, _SECONDS, _LOGIN_SECONDS = "127.0.0.1", 15.0, 300.0
_LIMIT = 2**20  # of an answer
_PAGE = b"<!doctype html><title>Signed in</title><p>You are signed in. Close this page."


@dataclass(frozen=True)
class Token:
    """An ID token, and its end in seconds since 1970."""

    text: str
    expires: int


class Flow:
    """One login: the URL for the browser, and the exchange of the code that comes back."""

    def __init__(self, issuer: Issuer, client: str, redirect: str) -> None:
        self._issuer, self._client, self._redirect = issuer, client, redirect
        self._verifier, self.state, self._nonce = (secrets.token_urlsafe(48) for _ in range(3))

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the authorization request."""
        challenge = hashlib.sha256(self._verifier.encode()).digest()
        return {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": self._redirect,
            "scope": SCOPE,
            "state": self.state,
            "nonce": self._nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    @property
    def url(self) -> str:
        return f"{self._issuer.configuration['authorization_endpoint']}?{urlencode(self.query)}"

    def redeem(self, code: str) -> Token:
        """Exchange the code. The token comes from the issuer by TLS, so its signature is not checked.

        https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "client_id": self._client,
            "code_verifier": self._verifier,
        }
        answer = self._issuer.send("POST", self._issuer.configuration["token_endpoint"], form=form)
        text = str(answer.get("id_token", ""))
        claims = _claims(text)
        audience = claims.get("aud")
        right = self._client in (audience if isinstance(audience, list) else [audience])
        if claims.get("nonce") != self._nonce or claims.get("iss") != self._issuer.url or not right:
            raise StepError("the issuer answered with a token of another login", hint="log in again")
        return Token(text, int(claims["exp"]))


class Issuer:
    """An OIDC issuer; `authority` is the certificate (PEM) of its server, '' for a public one."""

    def __init__(self, url: str, authority: str = "") -> None:
        self.url = url
        self._tls = ssl.create_default_context(cadata=authority or None)
        self._configuration: Mapping[str, Any] = {}

    @property
    def configuration(self) -> Mapping[str, Any]:
        """Its discovery document, read once."""
        if not self._configuration:
            found = self.send("GET", f"{self.url}/.well-known/openid-configuration")
            if found.get("issuer") != self.url:
                raise StepError(f"{self.url} is another issuer", why=f"it calls itself {found.get('issuer')}")
            self._configuration = found
        return self._configuration

    def send(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request to the issuer's host. Raises StepError."""
        there, mine = urlsplit(url), urlsplit(self.url)
        if (there.scheme, there.netloc) != (mine.scheme, mine.netloc) or there.scheme != "https":
            raise StepError(f"{self.url} names another server", why=f"its configuration has {url}")
        host = there.hostname or ""
        # Not every resolver knows that names below localhost are this machine (RFC 6761, 6.3).
        reached = _LOOPBACK if host == "localhost" or host.endswith(".localhost") else host
        pool = urllib3.HTTPSConnectionPool(
            reached,
            there.port or 443,
            ssl_context=self._tls,
            server_hostname=host,
            assert_hostname=host,
            timeout=_SECONDS,
        )
        sent = {"Host": there.netloc, **(headers or {})}
        data: bytes | None = None
        if form is not None:
            sent["Content-Type"], data = "application/x-www-form-urlencoded", urlencode(form).encode()
        elif body is not None:
            sent["Content-Type"], data = "application/json", json.dumps(body).encode()
        path = there.path + (f"?{there.query}" if there.query else "")
        try:
            with pool:
                answer = pool.request(
                    method,
                    path,
                    body=data,
                    headers=sent,
                    retries=False,
                    redirect=False,
                    preload_content=False,
                )
                text, status = answer.read(_LIMIT), answer.status
                answer.drain_conn()
        except urllib3.exceptions.HTTPError as error:
            raise StepError(
                f"{there.netloc} does not answer",
                why=str(error),
                hint="for a local environment, run `mlops-platform open` with any UI in another shell",
                transient=True,
            ) from error
        if status >= 400:
            raise Refused(status, f"{there.netloc} refused the login: {status}", why=_said(text))
        try:
            found = json.loads(text or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise StepError(f"{there.netloc} is no OIDC issuer", why="the answer is no JSON object")
        return found


class Refused(StepError):
    """An answer of the issuer with an error status."""

    def __init__(self, status: int, what: str, *, why: str) -> None:
        super().__init__(what, why=why, hint="check the name and the password")
        self.status = status


def in_browser(issuer: Issuer, client: str, show: Callable[[str], None]) -> Token:
    """Log in with a browser: `show` gets the URL. Raises StepError after five minutes."""
    answers: list[dict[str, str]] = []

    class Callback(http.server.BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            there = urlsplit(self.path)
            given = {key: values[0] for key, values in parse_qs(there.query).items()}
            right = there.path == "/callback" and secrets.compare_digest(given.get("state", ""), flow.state)
            self.send_response(200 if right else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Connection", "close")
            self.end_headers()
            if right:
                self.wfile.write(_PAGE)
                answers.append(given)

        def log_message(self, *_: object) -> None:
            """Print nothing: the URL has the code."""

    with http.server.HTTPServer((_LOOPBACK, 0), Callback) as server:
        redirect = REDIRECT.replace(_LOOPBACK, f"{_LOOPBACK}:{server.server_port}")
        flow = Flow(issuer, client, redirect)
        show(flow.url)
        server.timeout = 1.0
        until = time.monotonic() + _LOGIN_SECONDS
        while not answers:
            if time.monotonic() > until:
                raise StepError(f"no login within {_LOGIN_SECONDS:.0f} seconds", hint="run the command again")
            server.handle_request()
    if "code" not in answers[0]:
        raise StepError("the issuer refused the login", why=answers[0].get("error", ""))
    return flow.redeem(answers[0]["code"])


def _claims(token: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    except (IndexError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("exp"), int):
        raise StepError("the issuer answered without an ID token")
    return found


def _said(text: bytes) -> str:
    """The reason in an error answer of OAuth or Vault; nothing of another body."""
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    errors = found.get("errors") or [found.get("error_description") or found.get("error") or ""]
    return "; ".join(str(each) for each in errors)[:300]
