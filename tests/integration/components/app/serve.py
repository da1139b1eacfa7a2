"""Stores a body that is PUT with the password; answers every GET with it."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PASSWORD = Path("/run/secrets/admin/password").read_text()
DATA = Path("/data")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        file = DATA / self.path.strip("/")
        self._answer(200 if file.exists() else 404, file.read_bytes() if file.is_file() else b"")

    def do_PUT(self) -> None:
        if self.headers.get("Authorization") != PASSWORD:
            self._answer(403, b"")
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        (DATA / self.path.strip("/")).write_bytes(body)
        self._answer(200, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
