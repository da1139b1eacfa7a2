"""The proxy between gateway and servers: configurable-http-proxy, which lets only its owner reach a server.

A server is code of its owner: it gets neither the proxy secret nor headers of the gateway, with which it
could log in to the hub as another person. Cookies that another person has left in a browser do not open it.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
import sys
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
from configurable_http_proxy.configproxy import PythonProxy
from configurable_http_proxy.handlers import ProxyHandler
from tornado.httpclient import HTTPClientError
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application
from tornado.websocket import websocket_connect
from yarl import URL

_SECRETS = Path("/run/secrets")
HEALTH = "/_chp_healthz"
_SECRET, _USER = "X-Platform-Proxy", "X-Forwarded-Preferred-Username"
_IDENTITY = frozenset(
    name.lower()
    for name in (
        _SECRET,
        _USER,
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "Authorization",
    )
)
_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
# The client would add these: the hub rejects a write whose type is application/octet-stream.
_AUTOMATIC = frozenset(("accept", "accept-encoding", "content-type", "user-agent"))
_BODY = 64 * 1024 * 1024  # bytes of a request; JupyterLab uploads in parts of 1 MiB
_MESSAGE = 32 * 1024 * 1024
_SECONDS, _CONNECT_SECONDS = 3600, 10
_PING = 30


class Routes(PythonProxy):
    """The table of routes, which the hub writes with its token."""

    def __init__(self, token: str, secrets: Path = _SECRETS / "proxy") -> None:
        super().__init__({"auth_token": token, "x_forward": False})
        self._secrets = secrets
        # A ping keeps a silent connection open: the gateway closes it after an hour.
        limits: dict[str, Any] = {"websocket_max_message_size": _MESSAGE, "websocket_ping_interval": _PING}
        self.proxy_app = Application([(r"/(.*)", Handler, {"proxy": self})], **limits)

    @cached_property
    def session(self) -> aiohttp.ClientSession:
        """The client of the servers; bodies pass as they are."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SECONDS)
        return aiohttp.ClientSession(
            timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    def target_for_req(self, host: Any, path: str) -> dict[str, Any] | None:
        """The target of a path. `owner` is None for the hub, else the person of the server."""
        route = self._routes.get_target(unquote(path))
        if not route:
            return None
        data = route.data
        owner = None if data.get("hub") else str(data.get("user", ""))
        return {"prefix": route.prefix, "target": data["target"], "owner": owner}

    def from_gateway(self, given: str) -> bool:
        """True for the proxy secret. It is read for each request: a rotation adds `previous`."""
        files = (self._secrets / name for name in ("value", "previous"))
        known = [file.read_bytes().strip() for file in files if file.is_file()]
        return any(hmac.compare_digest(given.encode(), each) for each in known if each)


class Handler(ProxyHandler):
    """One request or websocket."""

    def check_origin(self, origin: str) -> bool:
        """Leave it to the gateway, which rejects foreign origins of writes, and to the server."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """The protocol that the server has chosen: JupyterLab writes its messages in it."""
        return self.ws_client.selected_subprotocol if self.ws_client else None

    async def prepare(self) -> None:
        if self.request.path == HEALTH:
            return
        if not self.proxy.from_gateway(self.request.headers.get(_SECRET, "")):
            self._reject(401, "open this address through the gateway")
            return
        target = self.proxy.target_for_req(None, self.path_args[0])  # as get_target_url finds it
        owner = target["owner"] if target else None
        if owner is not None and self.request.headers.get(_USER, "") != owner:
            self._reject(403, "this notebook belongs to another person")

    def _reject(self, status: int, reason: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{reason}\n")

    def _headers_for(self, *without: str) -> dict[str, str]:
        """The headers of the request for its target."""
        hidden = _HOP if self.target["owner"] is None else _HOP | _IDENTITY
        pairs = self.request.headers.items()
        return {
            k: v for k, v in pairs if k.lower() not in hidden and not k.lower().startswith(without or "\n")
        }

    async def call_proxy(self, path: str | None = None) -> None:
        """Pass a request on, and its answer in pieces: upstream keeps a whole answer in memory."""
        url = await self.get_target_url(path)
        if url is None:
            return
        try:
            asked = self.proxy.session.request(
                self.request.method,
                URL(url, encoded=True),
                headers=self._headers_for("content-length"),
                data=self.request.body or None,
                allow_redirects=False,
                skip_auto_headers=_AUTOMATIC,
            )
            async with asked as answer:
                self._start(answer)
                async for piece in answer.content.iter_any():
                    self.write(piece)
                    await self.flush()
        except StreamClosedError:  # the browser has gone
            return
        except (aiohttp.ClientError, TimeoutError) as error:
            if self._headers_written:
                self.request.connection.stream.close()  # the browser must not take it for the whole
            else:
                await self.handle_proxy_error(503, error)
            return
        self.finish()

    def _start(self, answer: aiohttp.ClientResponse) -> None:
        self.set_status(answer.status, answer.reason)
        for name in ("Server", "Content-Type", "Date"):  # tornado's own
            self.clear_header(name)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                self.add_header(name, value)

    async def start_ws_client(self, path: str | None = None) -> None:
        """Connect to the server first: its answer decides about the handshake with the browser.

        Upstream sends the browser's handshake headers twice, and offers the browser no subprotocol.
        """
        self.closed = False
        url = await self.get_target_url(path)
        if url is None:
            return
        asked = self.request.headers.get("Sec-WebSocket-Protocol", "")
        headers = self._headers_for("sec-websocket-", "content-length")
        request = self._get_proxy_request(url.replace("http", "ws", 1))
        request.headers = headers
        try:
            self.ws_client = await websocket_connect(
                request,
                on_message_callback=self._from_server,
                subprotocols=[text.strip() for text in asked.split(",") if text.strip()] or None,
                max_message_size=_MESSAGE,
                ping_interval=_PING,
            )
        except HTTPClientError as error:
            self._reject(error.code, "the server rejects the websocket")
        except OSError as error:
            await self.handle_proxy_error(503, error)

    def _from_server(self, message: str | bytes | None) -> None:
        if message is None:  # the server has closed the connection
            self.close()
            return
        if self.ws_connection and not self.closed:
            self.proxy.update_last_activity(self.target["prefix"])
            self.write_message(message, binary=isinstance(message, bytes))

    def on_message(self, message: str | bytes) -> None:
        if self.ws_client:
            self.proxy.update_last_activity(self.target["prefix"])
            self.ws_client.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        self.closed = True
        super().on_close()


async def serve(port: int, routes: int, secrets: Path = _SECRETS) -> None:
    proxy = Routes((secrets / "keys/routes").read_text().strip(), secrets / "proxy")
    # The hub adds the routes of notebooks, at the latest when it compares them (hub_config.py).
    proxy.add_route("/", {"target": os.environ["HUB"], "hub": True})
    HTTPServer(proxy.proxy_app, max_buffer_size=_BODY, max_body_size=_BODY).listen(port)
    HTTPServer(proxy.api_app).listen(routes)
    ended = asyncio.Event()
    # The first process of a container gets no signal that it does not handle.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
