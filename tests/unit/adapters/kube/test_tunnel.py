"""One forwarded connection over TLS: messages in pieces, both directions full, errors, refusals."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlops_platform.adapters.kube.connection import Connection
from mlops_platform.adapters.kube.tunnel import Refused, Tunnel
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.certificates import authority, certificate
from mlops_platform.base.errors import StepError
from wsproto.connection import CLIENT, SERVER
from wsproto.connection import Connection as WebSocket
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

from tests.fakes.kubeapi import fake_api
from tests.unit.adapters.kube.test_connection import write

MEGABYTE = 1 << 20
PORT = bytes(2)  # the port number with which each channel begins


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


@pytest.mark.parametrize(("step", "size"), [(1, 7_001), (3, 7_001), (1000, 70_001), (1 << 20, 70_001)])
def test_data_arrives_exactly_however_the_stream_is_cut(
    ends: tuple[ssl.SSLSocket, ssl.SSLSocket], step: int, size: int
) -> None:
    near, far = ends
    content = bytes(index * 7 & 0xFF for index in range(size))
    one, two, three = size // 70, size * 4 // 7, size * 6 // 7
    server = WebSocket(SERVER)
    stream = b"".join(
        (
            server.send(BytesMessage(b"\0" + PORT)),
            server.send(BytesMessage(b"\1" + PORT)),
            server.send(BytesMessage(b"\0" + content[:one], message_finished=False)),
            server.send(Ping(b"there?")),
            server.send(BytesMessage(content[one:two], message_finished=False)),
            server.send(BytesMessage(content[two:three])),
            server.send(BytesMessage(b"\0" + content[three:])),
        )
    )
    pod, client = connected()
    client.settimeout(30)
    stop = Cancel()
    with ThreadPoolExecutor(2) as pool, client, pod, Tunnel(near, WebSocket(CLIENT)) as tunnel:
        carried = pool.submit(tunnel.carry, pod, stop)
        served = pool.submit(send_in_pieces, far, stream, step)
        seen = b""
        while len(seen) < len(content):
            seen += client.recv(MEGABYTE)
        assert seen == content
        served.result(30)
        client.sendall(b"answer")
        events: list[object] = []
        while len(events) < 2:
            server.receive_data(far.recv(MEGABYTE))
            events += server.events()
        assert events == [Pong(b"there?"), BytesMessage(b"\0answer")]
        far.sendall(server.send(CloseConnection(1000)))
        carried.result(30)


def send_in_pieces(far: ssl.SSLSocket, stream: bytes, step: int) -> None:
    for start in range(0, len(stream), step):
        far.sendall(stream[start : start + step])


def test_error_of_pod_ends_the_connection_with_its_words(ends: tuple[ssl.SSLSocket, ssl.SSLSocket]) -> None:
    near, far = ends
    server = WebSocket(SERVER)
    messages = (b"\0" + PORT, b"\1" + PORT, b"\1nothing listens")
    far.sendall(b"".join(server.send(BytesMessage(each)) for each in messages))
    far.sendall(server.send(CloseConnection(1000)))
    pod, client = connected()
    with client, pod, Tunnel(near, WebSocket(CLIENT)) as tunnel, pytest.raises(StepError) as ended:
        tunnel.carry(pod, Cancel())
    assert ended.value.why == "nothing listens"


def test_refused_forward_shows_the_servers_answer(tmp_path: Path) -> None:
    with fake_api(tmp_path) as api:
        api.answer = lambda _: (403, {"message": "you may not"})
        connection = Connection(write(tmp_path, api, {"token": "t"}), "", None, None)
        with pytest.raises(Refused) as refused:
            Tunnel.open(connection, "ns", "pod", 80)
    assert "403" in refused.value.why and "you may not" in refused.value.why
    seen = api.seen[0]
    assert (seen.path, seen.authorization) == (
        "/api/v1/namespaces/ns/pods/pod/portforward?ports=80",
        "Bearer t",
    )


def test_server_that_writes_all_before_it_reads_does_not_block_the_tunnel(
    ends: tuple[ssl.SSLSocket, ssl.SSLSocket],
) -> None:
    """The API server does so while both directions are full; a tunnel that waited until it could write would
    wait forever."""
    near, far = ends
    much, block = 4 * MEGABYTE, bytes(16 * 1024)
    pod, client = connected()

    def serve() -> None:
        server = WebSocket(SERVER)
        far.sendall(server.send(BytesMessage(b"\0" + PORT)))
        for _ in range(much // len(block)):
            far.sendall(server.send(BytesMessage(b"\0" + block)))
        taken = 0
        while taken < much:
            taken += len(far.recv(MEGABYTE))

    stop = Cancel()
    client.settimeout(30)
    with ThreadPoolExecutor(3) as pool, client, pod, Tunnel(near, WebSocket(CLIENT)) as tunnel:
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
