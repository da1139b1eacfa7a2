"""Owns one forwarded connection: bytes between a local socket and a pod's port, over one websocket.

The pod's side speaks v4.channel.k8s.io: each message begins with its channel, 0 for data and 1 for
errors, and the first message of each holds only the port.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go
"""

from __future__ import annotations

import base64
import os
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from urllib.parse import quote

from mlops_platform.adapters.kube.kubeconfig import Server
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CONTINUED, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x2, 0x8, 0x9, 0xA
_CHUNK = 32 * 1024
_HELD = 8 * _CHUNK  # bytes waiting for a slow side before the other is read no further
_CONNECT_SECONDS = 10.0
_POLL_SECONDS = 0.25
# A client that has shut its sending side down may still read: it gets this long without a byte.
_DRAIN_SECONDS = 10.0


class Refused(StepError):
    """The way into the pod could not be opened: the pod may have just gone."""


class Tunnel:
    """An open way into a pod. One thread moves both directions: a TLS connection is not for two at once."""

    def __init__(self, server: ssl.SSLSocket, received: bytes) -> None:
        self._server = server
        self._frames = Frames()
        self._out = bytearray()
        self._in = bytearray()
        self._begun: set[int] = set()
        self._error = b""
        self._ended = False
        self._take(received)

    @classmethod
    def open(cls, server: Server, namespace: str, pod: str, port: int) -> Tunnel:
        """Raises Refused with the API server's own words."""
        path = (
            f"{server.prefix}/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward?ports={port}"
        )
        try:
            plain = socket.create_connection((server.host, server.port), _CONNECT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secure = server.tls.wrap_socket(plain, server_hostname=server.tls_name or server.host)
        except OSError as error:
            raise Refused("the API server does not answer", why=str(error), transient=True) from error
        try:
            rest = _upgrade(secure, server, path)
        except OSError as error:
            secure.close()
            raise Refused(f"pod {pod}: no forward to port {port}", why=str(error), transient=True) from error
        except Refused:
            secure.close()
            raise
        secure.setblocking(False)
        return cls(secure, rest)

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
                want = _interest(sending and len(self._out) < _HELD, bool(self._in))
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
                except (ConnectionResetError, BrokenPipeError):  # the client is gone: so is its connection
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
        """False when the client will send no more."""
        data = client.recv(_CHUNK)
        if data:
            self._out += frame(_BINARY, bytes([_DATA]) + data)
        return bool(data)

    def _exchange(self, readable: bool) -> None:
        """Write what is waiting, read what is there. What cannot be written now must not keep us from
        reading: the API server may take nothing before it is rid of what it has for us."""
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
        self._take(data)

    def _take(self, data: bytes) -> None:
        for kind, payload in self._frames.feed(data):
            if kind == _PING:
                self._out += frame(_PONG, payload)
            elif kind == _CLOSE:
                self._ended = True
            elif kind == _BINARY and payload:
                self._message(payload[0], payload[1:])

    def _message(self, channel: int, content: bytes) -> None:
        if channel not in self._begun:
            self._begun.add(channel)
            content = content[2:]  # the port's number
        if channel == _DATA:
            self._in += content
        elif channel == _ERROR:
            self._error += content


class Frames:
    """Websocket frames out of bytes as they come. https://www.rfc-editor.org/rfc/rfc6455#section-5.2"""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._message = bytearray()
        self._kind = _BINARY

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Whole messages; the pieces of one that came in several are joined."""
        self._bytes += data
        while (found := self._frame()) is not None:
            final, kind, payload = found
            if kind >= _CLOSE:  # control frames come whole, also between the pieces of a message
                yield kind, payload
                continue
            if kind != _CONTINUED:
                self._kind = kind
            self._message += payload
            if final:
                message, self._message = bytes(self._message), bytearray()
                yield self._kind, message

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """The next frame, or None until all of it is here. A server's frames are not masked."""
        if len(self._bytes) < 2:
            return None
        length, start = self._bytes[1] & 0x7F, 2
        for mark, form in ((126, "!H"), (127, "!Q")):
            if length == mark:
                start = 2 + struct.calcsize(form)
                if len(self._bytes) < start:
                    return None
                (length,) = struct.unpack(form, self._bytes[2:start])
                break
        if len(self._bytes) < start + length:
            return None
        final, kind = bool(self._bytes[0] & 0x80), self._bytes[0] & 0x0F
        payload = bytes(self._bytes[start : start + length])
        del self._bytes[: start + length]
        return final, kind, payload


def frame(kind: int, payload: bytes) -> bytes:
    """One whole frame, masked as a client's must be."""
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", 0x80 | kind, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, length)
    mask = os.urandom(4)
    # One long number is masked several hundred times faster than byte by byte.
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(length, "big")


def _upgrade(server: ssl.SSLSocket, about: Server, path: str) -> bytes:
    """Turn the connection into a websocket; returns bytes that came with the answer already."""
    headers = {
        "Host": f"{about.host}:{about.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": _PROTOCOL,
        **about.headers,
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    server.sendall("\r\n".join(lines).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = server.recv(_CHUNK)
        if not data:
            break
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode(errors="replace")
    if " 101 " not in f"{status} ":
        why = f"{status}\n{rest.decode(errors='replace')}".strip()
        raise Refused("the API server refused the forward", why=why, transient=True)
    return rest


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
    """Which of the wanted events are there, for the client and for the server."""
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
