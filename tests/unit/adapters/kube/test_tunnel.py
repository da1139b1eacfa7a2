"""Websocket frames, byte by byte, and both ways full. The way through a node is in tests/integration/kube."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlops_platform.adapters.kube.tunnel import Frames, Tunnel, frame
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.certificates import authority, certificate

MEGABYTE = 1 << 20
BINARY, CLOSE, PING = 0x2, 0x8, 0x9


def from_server(kind: int, payload: bytes, *, final: bool = True) -> bytes:
    """As a server sends it: not masked."""
    first, length = (0x80 if final else 0) | kind, len(payload)
    if length < 126:
        return struct.pack("!BB", first, length) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload


def unmasked(data: bytes) -> tuple[int, bytes]:
    """As a server reads what we send (RFC 6455, 5.3), by the letter."""
    assert data[0] & 0x80
    assert data[1] & 0x80, "a client's frame must be masked"
    length, start = data[1] & 0x7F, 2
    if length == 126:
        (length,), start = struct.unpack("!H", data[2:4]), 4
    elif length == 127:
        (length,), start = struct.unpack("!Q", data[2:10]), 10
    mask, payload = data[start : start + 4], data[start + 4 :]
    assert len(payload) == length
    return data[0] & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 65535, 65536, 70001])
def test_what_is_sent_can_be_read(size: int) -> None:
    payload = bytes(index * 7 & 0xFF for index in range(size))
    assert unmasked(frame(BINARY, payload)) == (BINARY, payload)


def test_no_two_frames_have_the_same_mask() -> None:
    assert len({frame(BINARY, b"same")[2:6] for _ in range(50)}) == 50


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
@pytest.mark.parametrize("step", [1, 1000, 10**9])
def test_what_comes_in_pieces_is_put_together(size: int, step: int) -> None:
    payload = bytes(index * 5 & 0xFF for index in range(size))
    stream = from_server(BINARY, payload) + from_server(BINARY, b"next")
    frames, seen = Frames(), []
    for start in range(0, len(stream), step):
        seen += list(frames.feed(stream[start : start + step]))
    assert seen == [(BINARY, payload), (BINARY, b"next")]


def test_a_message_in_several_frames_is_one_and_a_ping_may_come_between() -> None:
    stream = b"".join(
        (
            from_server(BINARY, b"one ", final=False),
            from_server(PING, b"there?"),
            from_server(0x0, b"two ", final=False),
            from_server(0x0, b"three"),
            from_server(CLOSE, b""),
        )
    )
    assert list(Frames().feed(stream)) == [(PING, b"there?"), (BINARY, b"one two three"), (CLOSE, b"")]


def connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection that holds little."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pair = socket.create_connection(listener.getsockname()), listener.accept()[0]
    for end in pair:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 64 * 1024)
    return pair


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Both ends of one TLS connection: ours, and the API server's."""
    made = certificate(authority("test"), "mlops.test")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text(made[name])
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
    near, far = connected()
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(theirs.wrap_socket, far, server_side=True)
        client = ours.wrap_socket(near)
        server = answered.result(30)
    server.settimeout(30)
    client.setblocking(False)
    with client, server:
        yield client, server


def test_a_side_that_reads_nothing_until_it_has_written_all_is_read_all_the_same(
    ends: tuple[ssl.SSLSocket, ssl.SSLSocket],
) -> None:
    """As the API server's does while both directions are full: who then waits to be rid of what it has
    itself, before it reads, waits for ever."""
    near, far = ends
    much, block = 4 * MEGABYTE, bytes(16 * 1024)
    pod, client = connected()

    def serve() -> None:
        far.sendall(from_server(BINARY, b"\0" + b"\0\0"))  # the port's number
        for _ in range(much // len(block)):
            far.sendall(from_server(BINARY, b"\0" + block))
        taken = 0
        while taken < much:
            taken += len(far.recv(MEGABYTE))

    stop = Cancel()
    client.settimeout(30)
    with ThreadPoolExecutor(3) as pool, client, pod, Tunnel(near, b"") as tunnel:
        carried = pool.submit(tunnel.carry, pod, stop)
        sent = pool.submit(client.sendall, bytes(much))
        served = pool.submit(serve)
        seen = 0
        try:
            while seen < much:
                seen += len(client.recv(MEGABYTE))
            sent.result(30)
            served.result(30)
        finally:
            stop.request()
            carried.result(30)
    assert seen == much
