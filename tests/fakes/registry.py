"""Owns an OCI registry on loopback, in memory: the part of the distribution protocol that push and pull use.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Registry:
    """What was pushed: blobs by digest, manifests by 'name:reference' with their media type."""

    port: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"oci://127.0.0.1:{self.port}"


@contextmanager
def registry() -> Iterator[Registry]:
    held = Registry()

    class Handler(_Handler):
        registry = held

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        held.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        kind, name, reference = self._split()
        if self.path == "/v2/":
            self._answer(200)
        elif kind == "blobs" and reference in self.registry.blobs:
            self._answer(200, self.registry.blobs[reference], "application/octet-stream", reference)
        elif kind == "manifests" and f"{name}:{reference}" in self.registry.manifests:
            media, content = self.registry.manifests[f"{name}:{reference}"]
            self._answer(200, content, media, _digest(content))
        else:
            self._answer(404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(202, location=f"{urlsplit(self.path).path}one")

    def do_PUT(self) -> None:
        kind, name, reference = self._split()
        content = self.rfile.read(int(self.headers["Content-Length"]))
        digest = _digest(content)
        if kind == "manifests":
            stored = (self.headers["Content-Type"], content)
            self.registry.manifests.update({f"{name}:{reference}": stored, f"{name}:{digest}": stored})
        elif parse_qs(urlsplit(self.path).query)["digest"] != [digest]:
            self._answer(400)
            return
        self.registry.blobs[digest] = content
        self._answer(201, digest=digest, location=f"/v2/{name}/{kind}/{digest}")

    def _split(self) -> tuple[str, str, str]:
        found = re.fullmatch(r"/v2/(.+)/(blobs|manifests)/([^/]+)(/.*)?", urlsplit(self.path).path)
        return (found[2], found[1], found[3]) if found else ("", "", "")

    def _answer(
        self, status: int, content: bytes = b"", media: str = "", digest: str = "", location: str = ""
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": media, "Docker-Content-Digest": digest, "Location": location}
        for key, value in headers.items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
