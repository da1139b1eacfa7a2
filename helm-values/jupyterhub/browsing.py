"""The browser of a person in the smoke test: login, cookies and websockets, through the gateway."""

from __future__ import annotations

import importlib
import json
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import websocket
from browser import PAGE, Answer, Refused

SITE, GATEWAY = os.environ["SITE"], os.environ["GATEWAY"]
AUTHORITY = str(Path(__file__).with_name("authority.crt"))
NOTEBOOKS = f"https://notebooks.{SITE}"
_MOST_REDIRECTS = 12


@dataclass
class Browser:
    """Cookies by host and path; the interface that the issuer's login.py wants."""

    cookies: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def ask(
        self, url: str, method: str = "GET", *, headers: Mapping[str, str] | None = None, data: object = None
    ) -> Answer:
        parts = urlsplit(url)
        given = {"Host": parts.netloc, **self.cookie(url), **(headers or {})}
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        host, _, port = GATEWAY.rpartition(":")
        with urllib3.HTTPSConnectionPool(
            host,
            int(port),
            ssl_context=ssl.create_default_context(cafile=AUTHORITY),
            server_hostname=parts.hostname,
            assert_hostname=parts.hostname,
            timeout=urllib3.Timeout(60),
            retries=False,
        ) as pool:
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            got = pool.urlopen(method, target, body=body, headers=given, redirect=False)
            self._keep(parts.hostname or "", got.headers.getlist("Set-Cookie"))
            return Answer(url, got.status, dict(got.headers), got.data)

    def must(self, url: str, method: str = "GET", **how: Any) -> Answer:
        """Like `ask`, but raise Refused for 400 and above."""
        answer = self.ask(url, method, **how)
        if answer.status >= 400:
            raise Refused(f"{answer.status} {answer.text[:300]}")
        return answer

    def page(self, url: str) -> Answer:
        """Open a page and follow its redirects. Raises Refused."""
        for _ in range(_MOST_REDIRECTS):
            answer = self.must(url, headers=PAGE)
            if answer.status not in (301, 302, 303, 307):
                return answer
            url = answer.location
        raise Refused(f"508 more than {_MOST_REDIRECTS} redirects, the last to {url}")

    def enter(self, person: Mapping[str, str]) -> None:
        """Log in as this person."""
        login: Any = importlib.import_module("login")  # of the component that is the issuer
        led = self.must(f"https://auth.{SITE}/whoami", headers=PAGE)  # of the gateway itself
        assert led.status == 302, led.status
        issuer = "://".join(urlsplit(led.location)[:2])
        token = login.token_of(self, issuer, person["name"], person["password"])
        self.page(login.consent(self, led.location, token))

    def home(self) -> None:
        """Open the page of projects, which gives the browser a session of the hub."""
        self.page(f"{NOTEBOOKS}/hub/home")

    def xsrf(self, url: str) -> dict[str, str]:
        """The header that a page sends with a write below this path."""
        found = self._held(url).get("_xsrf", "")
        return {"X-XSRFToken": found}

    def websocket(self, url: str) -> websocket.WebSocket:
        """Open a websocket. Raises Refused."""
        parts = urlsplit(url)
        host, _, port = GATEWAY.rpartition(":")
        raw = socket.create_connection((host, int(port)), timeout=60)
        context = ssl.create_default_context(cafile=AUTHORITY)
        channel = context.wrap_socket(raw, server_hostname=parts.hostname)
        try:
            return websocket.create_connection(
                url.replace("https", "wss", 1),
                socket=channel,
                host=parts.netloc,
                origin=f"https://{parts.netloc}",
                header=[f"{k}: {v}" for k, v in self.cookie(url).items()],
                timeout=60,
            )
        except websocket.WebSocketBadStatusException as error:
            channel.close()
            raise Refused(f"{error.status_code} websocket") from error

    def cookie(self, url: str) -> dict[str, str]:
        text = "; ".join(f"{k}={v}" for k, v in self._held(url).items())
        return {"Cookie": text} if text else {}

    def _held(self, url: str) -> dict[str, str]:
        """The cookies for an address; that of the longest path wins."""
        parts = urlsplit(url)
        name, path, found = parts.hostname or "", parts.path or "/", dict[str, str]()
        for (domain, below, key), value in sorted(self.cookies.items(), key=lambda each: len(each[0][1])):
            if (name == domain or name.endswith(f".{domain}")) and path.startswith(below):
                found[key] = value
        return found

    def _keep(self, name: str, lines: list[str]) -> None:
        for line in lines:
            for key, morsel in SimpleCookie(line).items():
                place = (morsel["domain"].lstrip(".") or name, morsel["path"] or "/", key)
                if not morsel.value or morsel["max-age"] == "0" or "1970" in morsel["expires"]:
                    self.cookies.pop(place, None)
                else:
                    self.cookies[place] = morsel.value
