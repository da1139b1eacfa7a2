"""One forwarded connection: bytes between a local socket and a pod's port, over one websocket.

The kubelet speaks v4.channel.k8s.io: each message begins with its channel, 0 for data and 1 for
errors, and the first message of each holds only the port.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from contextlib import suppress
from types import TracebackType
from urllib.parse import quote

from wsproto.connection import Connection as WebSocket
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, RejectConnection, RejectData, Request
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

from mlops_platform.adapters.kube.connection import Connection
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PORT_BYTES = 2  # the port number, at the beginning of each channel
_CHUNK = 32 * 1024
_HELD = 8 * _CHUNK  # with this many bytes for a slow side, the other side is not read
_CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.25
# A client that has shut down its sending side may still read: it gets this long without a byte.
_DRAIN_SECONDS = 10.0


class Refused(StepError):
    """A forward that could not be opened: the pod may have just gone."""


class Tunnel:
    """An open forward to a pod's port; one thread moves both directions, as a TLS connection requires."""

    def __init__(self, server: ssl.SSLSocket, websocket: WebSocket) -> None:
        self._server = server
        self._websocket = websocket
        self._out = bytearray()
        self._in = bytearray()
        self._channel: int | None = None  # of the message whose pieces arrive
        self._unwanted = {_DATA: _PORT_BYTES, _ERROR: _PORT_BYTES}
        self._error = b""
        self._ended = False
        self._take()  # frames that arrived with the answer to the handshake

    @classmethod
    def open(cls, connection: Connection, namespace: str, pod: str, port: int) -> Tunnel:
        """Raises Refused with the API server's own words."""
        place = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward?ports={port}"
        try:
            secure = connection.dial(_CONNECT_SECONDS)
        except OSError as error:
            raise Refused("the API server does not answer", why=str(error), transient=True) from error
        try:
            websocket = _upgrade(secure, connection, connection.prefix + place)
        except OSError as error:
            secure.close()
            raise Refused(f"pod {pod}: no forward to port {port}", why=str(error), transient=True) from error
        except Refused:
            secure.close()
            raise
        secure.setblocking(False)
        return cls(secure, websocket)

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def carry(self, client: socket.socket, stop: Cancel) -> None:
        """Move bytes until either side ends, or `stop`. Raises StepError with the pod's own error."""
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sending, moved = True, time.monotonic()
        with selectors.DefaultSelector() as selector:
            while not stop.requested and not (self._ended and not self._in):
                want = _interest(sending and not self._ended and len(self._out) < _HELD, bool(self._in))
                server_want = _interest(not self._ended and len(self._in) < _HELD, bool(self._out))
                # What TLS has decrypted already does not show as readable.
                waiting = bool(server_want & selectors.EVENT_READ and self._server.pending())
                ready = _select(
                    selector, client, want, self._server, server_want, 0 if waiting else _POLL_SECONDS
                )
                try:
                    if ready[0] & selectors.EVENT_READ:
                        sending = self._read_client(client)
                    if ready[0] & selectors.EVENT_WRITE:
                        del self._in[: client.send(memoryview(self._in)[:_CHUNK])]
                except (ConnectionResetError, BrokenPipeError):  # the client is gone
                    return
                if waiting or ready[1]:
                    self._exchange(bool(waiting or ready[1] & selectors.EVENT_READ))
                if waiting or any(ready):
                    moved = time.monotonic()
                elif not sending and time.monotonic() - moved > _DRAIN_SECONDS:
                    return
        if self._error:
            raise StepError("the pod ended a connection", why=self._error.decode(errors="replace").strip())

    def _read_client(self, client: socket.socket) -> bool:
        """Read from the client; False when it has sent all."""
        data = client.recv(_CHUNK)
        if data:
            self._out += self._websocket.send(BytesMessage(bytes([_DATA]) + data))
        return bool(data)

    def _exchange(self, readable: bool) -> None:
        """Write what is waiting, read what is there. Reading must not depend on writing: the API server may
        read nothing before it has written all."""
        try:
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._write()
            if readable:
                with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    self._read()
        except OSError as error:
            self._ended, self._error = True, self._error or str(error).encode()

    def _write(self) -> None:
        if self._out:
            with memoryview(self._out)[: 2 * _CHUNK] as view:
                sent = self._server.send(view)
            del self._out[:sent]

    def _read(self) -> None:
        data = self._server.recv(2 * _CHUNK)
        self._ended = self._ended or not data
        self._websocket.receive_data(data)
        self._take()

    def _take(self) -> None:
        for event in self._websocket.events():
            if isinstance(event, Ping) and not self._ended:
                self._out += self._websocket.send(event.response())
            elif isinstance(event, CloseConnection):
                self._ended = True
            elif isinstance(event, BytesMessage):
                self._piece(bytes(event.data))
                if event.message_finished:
                    self._channel = None

    def _piece(self, content: bytes) -> None:
        """A message, or a part of it: its first byte is the channel."""
        if self._channel is None and content:
            self._channel, content = content[0], content[1:]
        if self._channel not in self._unwanted:
            return
        skip = min(len(content), self._unwanted[self._channel])
        self._unwanted[self._channel] -= skip
        if self._channel == _DATA:
            self._in += content[skip:]
        else:
            self._error += content[skip:]


def _upgrade(server: ssl.SSLSocket, about: Connection, path: str) -> WebSocket:
    """Turn the connection into a websocket. Raises Refused with the API server's answer."""
    handshake = H11Handshake(ConnectionType.CLIENT)
    headers = [(key.encode(), value.encode()) for key, value in about.headers().items()]
    request = Request(f"{about.host}:{about.port}", path, subprotocols=[_PROTOCOL], extra_headers=headers)
    server.sendall(handshake.send(request))
    status, body, ended = 0, b"", False
    try:
        while not (handshake.connection or ended):
            data = server.recv(_CHUNK)
            handshake.receive_data(data or None)
            ended = not data
            for event in handshake.events():
                if isinstance(event, RejectConnection):
                    status, ended = event.status_code, not event.has_body
                elif isinstance(event, RejectData):
                    body, ended = body + event.data, event.body_finished
    except RemoteProtocolError as error:  # also for an answer that stops in the middle
        body = body or str(error).encode()
    if not handshake.connection:
        why = f"{status or 'no answer'} {body.decode(errors='replace')}".strip()
        raise Refused("the API server refused the forward", why=why, transient=True)
    return handshake.connection


def _interest(read: bool, write: bool) -> int:
    return (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)


def _select(
    selector: selectors.BaseSelector,
    client: socket.socket,
    want: int,
    server: socket.socket,
    server_want: int,
    seconds: float,
) -> tuple[int, int]:
    """Wait for events; return those of the client and of the server."""
    for side, events in ((client, want), (server, server_want)):
        registered = selector.get_map().get(side.fileno())
        if registered and not events:
            selector.unregister(side)
        elif registered and registered.events != events:
            selector.modify(side, events)
        elif not registered and events:
            selector.register(side, events)
    found = {key.fd: events for key, events in selector.select(seconds)}
    return found.get(client.fileno(), 0), found.get(server.fileno(), 0)
