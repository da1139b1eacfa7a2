"""A web server on loopback for the files of a folder that records its requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.served import served


class FileServer:
    """`url` serves the folder; `asked` has every requested path in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []


@contextmanager
def serving(folder: Path) -> Iterator[FileServer]:
    server_state = FileServer("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

        def do_GET(self) -> None:
            server_state.asked.append(self.path)
            super().do_GET()

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        server_state.url = f"http://127.0.0.1:{server.server_port}"
        with served(server):
            yield server_state
