"""A web server on loopback that answers GET requests from a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.fakes.served import served


@contextmanager
def answering(answer: Callable[[str, str], tuple[int, str]]) -> Iterator[str]:
    """Yield the URL of a server; `answer` gets path and Authorization header, and returns status and text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = answer(self.path, self.headers.get("Authorization", ""))
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server, served(server):
        yield f"http://127.0.0.1:{server.server_port}"
