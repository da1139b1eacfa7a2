"""A small HTTPS server in place of an API server or OIDC issuer, and a proxy in front of it, on loopback."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fakes.served import in_thread, served


@dataclass(frozen=True)
class Seen:
    """One request; `port` tells connections apart, `client` is the name in the client's certificate."""

    method: str
    path: str
    authorization: str
    client: str
    port: int
    body: str


Answer = Callable[[Seen], tuple[int, Any]]


@dataclass
class FakeApi:
    """A server that answers {} to every request, or calls `answer`."""

    port: int
    authority: str
    answer: Answer = lambda _: (200, {})
    seen: list[Seen] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


def pair(name: str, alternative: str = "127.0.0.1") -> tuple[str, str]:
    """A self-signed certificate and its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        also: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(alternative))
    except ValueError:
        also = x509.DNSName(alternative)
    made = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(),
            now - timedelta(minutes=5), now + timedelta(days=1),
        )
        .add_extension(x509.SubjectAlternativeName([also]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    return made.public_bytes(pem).decode(), key.private_bytes(pem, form, none).decode()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def fake_api(folder: Path, *, alternative: str = "127.0.0.1", clients: str = "") -> Iterator[FakeApi]:
    """Start the server; `clients` are the certificates (PEM) of the clients that it accepts."""
    certificate, key = pair("api", alternative)
    (folder / "api.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "api.pem")
    if clients:
        context.load_verify_locations(cadata=clients)
        context.verify_mode = ssl.CERT_OPTIONAL
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        api = FakeApi(server.server_port, certificate)
        server.RequestHandlerClass = _handler(api, context)
        server.daemon_threads = True
        with served(server):
            yield api


def _handler(api: FakeApi, context: ssl.SSLContext) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle(self) -> None:
            with suppress(OSError):  # a client that rejects this server
                super().handle()

        def finish(self) -> None:
            super().finish()
            self.request.close()

        def _any(self) -> None:
            peer = self.request.getpeercert() or {}
            names = [value for ((key, value),) in peer.get("subject", ()) if key == "commonName"]
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            seen = Seen(
                self.command,
                self.path,
                self.headers.get("Authorization", ""),
                "".join(names),
                self.client_address[1],
                body,
            )
            api.seen.append(seen)
            status, answer = api.answer(seen)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    return Handler


@dataclass
class FakeProxy:
    """A proxy that carries every CONNECT to one port of this machine, for any target."""

    port: int
    asked: list[str] = field(default_factory=list)


@contextmanager
def fake_proxy(target: int) -> Iterator[FakeProxy]:
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = FakeProxy(listener.getsockname()[1])

    def accept() -> None:
        with suppress(OSError):  # the listener was shut down
            while True:
                client, _ = listener.accept()
                threading.Thread(target=carry, args=(client,), daemon=True).start()

    def carry(client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            proxy.asked.append(head.decode())
            with socket.create_connection(("127.0.0.1", target)) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=copy, args=(server, client), daemon=True)
                back.start()
                copy(client, server)

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    with listener, in_thread(accept, lambda: listener.shutdown(socket.SHUT_RDWR)):
        yield proxy
