"""A browser for smoke tests: cookies by domain, single redirects, all names resolve to the gateway.

It is mounted beside the scripts of tests with `people: true`, and never imported by the installer.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

PAGE = {"Accept": "text/html"}


class Refused(Exception):
    """An answer of 400 or more: '403 Forbidden …'."""


@dataclass(frozen=True)
class Answer:
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def location(self) -> str:
        """The absolute URL of a redirect, or ''."""
        found = self.headers.get("Location", "")
        return urljoin(self.url, found) if found else ""


@dataclass
class Browser:
    """The browser of one user. `gateway` is host:port in the cluster, `authority` the file of the CA."""

    gateway: str
    authority: str
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)  # by domain

    def ask(
        self,
        url: str,
        method: str = "GET",
        *,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> Answer:
        """Send a request and store its cookies. `data` is sent as JSON, bytes unchanged."""
        parts = urlsplit(url)
        name = parts.hostname or ""
        held = "; ".join(f"{k}={v}" for k, v in self._held(name).items())
        given = {"Host": parts.netloc, **({"Cookie": held} if held else {}), **(headers or {})}
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        host, _, port = self.gateway.rpartition(":")
        with urllib3.HTTPSConnectionPool(
            host,
            int(port),
            ssl_context=ssl.create_default_context(cafile=self.authority),
            server_hostname=name,
            assert_hostname=name,
            timeout=urllib3.Timeout(30),
            retries=False,
        ) as pool:
            target = parts.path or "/"
            got = pool.urlopen(
                method,
                f"{target}?{parts.query}" if parts.query else target,
                body=body,
                headers=given,
                redirect=False,
            )
            self._keep(name, got.headers.getlist("Set-Cookie"))
            return Answer(url, got.status, dict(got.headers), got.data)

    def must(self, url: str, method: str = "GET", **how: Any) -> Answer:
        """Like `ask`, but raise Refused for 400 and above."""
        answer = self.ask(url, method, **how)
        if answer.status >= 400:
            raise Refused(f"{answer.status} {answer.text[:200]}")
        return answer

    def page(self, url: str, **how: Any) -> Answer:
        """Request a page as a browser does."""
        return self.must(url, headers={**PAGE, **how.pop("headers", {})}, **how)

    def copy(self) -> Browser:
        """Another browser with the same cookies, as after a theft."""
        return Browser(self.gateway, self.authority, {d: dict(c) for d, c in self.cookies.items()})

    def _held(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for domain, cookies in self.cookies.items():
            if name == domain or name.endswith(f".{domain}"):
                found.update(cookies)
        return found

    def _keep(self, name: str, lines: list[str]) -> None:
        for line in lines:
            for key, morsel in SimpleCookie(line).items():
                held = self.cookies.setdefault(morsel["domain"].lstrip(".") or name, {})
                if (
                    morsel["max-age"] == "0"
                    or morsel["expires"].startswith("Thu, 01 Jan 1970")
                    or not morsel.value
                ):
                    held.pop(key, None)
                else:
                    held[key] = morsel.value


def query(url: str, **more: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(more)}"
