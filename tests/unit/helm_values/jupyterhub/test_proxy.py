"""The proxy of notebooks, on loopback: who gets through, what a server gets, and websockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler, websocket_connect

from tests import ROOT
from tests.unit.helm_values.pods import modules

SECRET, TOKEN = "of-the-gateway", "of-the-hub"
PROTOCOL = "v1.kernel.websocket.jupyter.org"
LARGE = 5_000_000


class Echo(RequestHandler):
    """A server that answers with what it got."""

    def get(self) -> None:
        if self.request.path.endswith("/large"):
            self.finish(b"x" * LARGE)
            return
        self.set_header("Set-Cookie", "a=b; Path=/user/ada/")
        self.finish(json.dumps({"path": self.request.uri, "headers": dict(self.request.headers)}))

    def post(self) -> None:
        self.set_status(201)
        self.set_header("X-Type", self.request.headers.get("Content-Type", "none"))
        self.finish(self.request.body)


class EchoSocket(WebSocketHandler):
    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return PROTOCOL if PROTOCOL in subprotocols else None

    def check_origin(self, origin: str) -> bool:
        return True

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


@pytest.fixture(scope="module")
def proxy() -> Iterator[ModuleType]:
    with modules(ROOT / "helm-values/jupyterhub", ["proxy"]) as found:
        yield found["proxy"]


class Site:
    """The proxy with a hub and the notebook of ada in the project churn."""

    def __init__(self, proxy: ModuleType, secrets: Path) -> None:
        (secrets / "value").write_text(f"{SECRET}\n")
        self.routes = proxy.Routes(TOKEN, secrets)
        echo = Application([(r".*/channels", EchoSocket), (r".*", Echo)])
        self._upstream, port = _listen(echo)
        self._servers = [self._upstream]
        server, self.port = _listen(self.routes.proxy_app)
        self._servers.append(server)
        target = f"http://127.0.0.1:{port}"
        self.routes.add_route("/", {"target": target, "hub": True})
        self.routes.add_route("/user/ada/churn/", {"target": target, "user": "ada", "server_name": "churn"})

    def request(self, path: str, user: str = "ada", secret: str = SECRET, **more: Any) -> HTTPRequest:
        headers = {
            "X-Platform-Proxy": secret,
            "X-Forwarded-Preferred-Username": user,
            "X-Forwarded-User": user,
            "X-Forwarded-Groups": "data-scientists",
            "Cookie": "left=by-ada",
        }
        return HTTPRequest(f"http://127.0.0.1:{self.port}{path}", headers=headers, **more)

    async def ask(self, path: str, **how: Any) -> Any:
        return await AsyncHTTPClient().fetch(
            self.request(path, follow_redirects=False, **how), raise_error=False
        )

    async def close(self) -> None:
        await self.routes.session.close()
        for server in self._servers:
            server.stop()
            await server.close_all_connections()


def _listen(application: Any) -> tuple[HTTPServer, int]:
    (sock,) = bind_sockets(0, "127.0.0.1", socket.AF_INET)
    server = HTTPServer(application)
    server.add_sockets([sock])
    return server, int(sock.getsockname()[1])


@pytest.fixture
def on_site(proxy: ModuleType, tmp_path: Path) -> Callable[[Callable[[Site], Awaitable[None]]], None]:
    def run(test: Callable[[Site], Awaitable[None]]) -> None:
        async def whole() -> None:
            site = Site(proxy, tmp_path)
            try:
                await test(site)
            finally:
                await site.close()

        asyncio.run(whole())

    return run


def test_owner_reaches_the_server_which_gets_no_secret_and_no_identity(on_site: Any) -> None:
    async def test(site: Site) -> None:
        answer = await site.ask("/user/ada/churn/api?a=b%20c")
        seen = json.loads(answer.body)
        names = {name.lower() for name in seen["headers"]}
        assert answer.code == 200 and seen["path"] == "/user/ada/churn/api?a=b%20c"
        assert not [name for name in names if name.startswith(("x-platform", "x-forwarded"))]
        assert "cookie" in names and answer.headers["Set-Cookie"] == "a=b; Path=/user/ada/"

    on_site(test)


def test_hub_gets_the_identity_and_the_secret(on_site: Any) -> None:
    async def test(site: Site) -> None:
        headers = json.loads((await site.ask("/hub/home")).body)["headers"]
        assert headers["X-Platform-Proxy"] == SECRET
        assert headers["X-Forwarded-Preferred-Username"] == "ada"

    on_site(test)


@pytest.mark.parametrize(
    "path",
    [
        "/user/ada/churn",
        "/user/ada/churn/lab",
        "/user/ad%61/churn/lab",
        "/user/ada%2Fchurn/lab",
        "//user/ada/churn/lab",
        "/user/ada/churn/../../bob/churn/lab",
    ],
)
def test_another_person_gets_403_also_with_cookies_of_the_owner(on_site: Any, path: str) -> None:
    async def test(site: Site) -> None:
        assert (await site.ask(path, user="bob")).code == 403
        assert (await site.ask(path, user="ADA")).code == 403

    on_site(test)


@pytest.mark.parametrize("secret", ["", "guess", f"{SECRET}x"])
def test_request_without_the_proxy_secret_gets_401(on_site: Any, secret: str) -> None:
    async def test(site: Site) -> None:
        for path in ("/hub/home", "/user/ada/churn/lab"):
            assert (await site.ask(path, secret=secret)).code == 401
        assert (await site.ask("/_chp_healthz", secret=secret)).code == 200

    on_site(test)


def test_previous_secret_counts_during_a_rotation(on_site: Any, tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        (tmp_path / "previous").write_text("older")
        assert (await site.ask("/hub/home", secret="older")).code == 200

    on_site(test)


def test_route_without_an_owner_is_closed(on_site: Any) -> None:
    async def test(site: Site) -> None:
        site.routes.add_route("/services/x", {"target": "http://127.0.0.1:1"})
        assert (await site.ask("/services/x/")).code == 403

    on_site(test)


def test_bodies_pass_in_both_directions(on_site: Any) -> None:
    async def test(site: Site) -> None:
        assert (await site.ask("/user/ada/churn/large")).body == b"x" * LARGE
        answer = await site.ask("/user/ada/churn/api", method="POST", body=b"text")
        assert (answer.code, answer.body) == (201, b"text")

    on_site(test)


def test_no_header_is_added(on_site: Any) -> None:
    """The hub rejects a write with a type that is not JSON."""

    async def test(site: Site) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        lines = (
            "POST /hub/api/x HTTP/1.1",
            "Host: a",
            f"X-Platform-Proxy: {SECRET}",
            "Content-Length: 2",
            "",
            "{}",
        )
        writer.write("\r\n".join(lines).encode())
        assert b"x-type: none" in (await reader.readuntil(b"\r\n\r\n")).lower()
        writer.close()
        await writer.wait_closed()

    on_site(test)


def test_server_that_does_not_answer_is_503(on_site: Any) -> None:
    async def test(site: Site) -> None:
        site.routes.add_route("/user/ada/other/", {"target": "http://127.0.0.1:1", "user": "ada"})
        assert (await site.ask("/user/ada/other/lab")).code == 503

    on_site(test)


def test_websocket_keeps_its_subprotocol_and_its_messages(on_site: Any) -> None:
    async def test(site: Site) -> None:
        request = site.request("/user/ada/churn/channels")
        request.url = request.url.replace("http", "ws", 1)
        client = await websocket_connect(request, subprotocols=[PROTOCOL, "other"])
        assert client.selected_subprotocol == PROTOCOL
        for message in ("text", b"\x00bytes"):
            await client.write_message(message, binary=isinstance(message, bytes))
            assert await client.read_message() == message
        client.close()
        assert await client.read_message() is None

    on_site(test)


def test_websocket_of_another_person_is_rejected(on_site: Any) -> None:
    async def test(site: Site) -> None:
        request = site.request("/user/ada/churn/channels", user="bob")
        request.url = request.url.replace("http", "ws", 1)
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(request)

    on_site(test)
