"""The companion of Katib's controller: a webhook for Experiments, and the recorder of best trials."""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from calls import ApiServer, CallError
from recorder import Recorder
from trials import patch_of

PORT, MARK_PATH = 8444, "/mark-trials"
_CERTIFICATE = Path("/tmp/cert")  # noqa: S108 - a mounted Secret, at the path of the controller
_MOST = 4 << 20  # bytes of a review: an object of the API server has at most 1.5 MiB, and an update has two
_SECONDS, _PAUSE_SECONDS = 10.0, 5.0


def review(body: bytes) -> bytes:
    """The answer to an AdmissionReview: the patch of its object. Raises ValueError for other bodies."""
    try:
        request = json.loads(body)["request"]
        answer: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        patch = patch_of(request.get("object") or {}, new=request.get("operation") != "UPDATE")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an AdmissionReview of an Experiment: {error!r}") from error
    if patch:
        encoded = base64.b64encode(json.dumps(patch).encode()).decode()
        answer |= {"patchType": "JSONPatch", "patch": encoded}
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
    ).encode()


class Handler(BaseHTTPRequestHandler):
    """Requests of the API server and of the kubelet."""

    timeout = _SECONDS
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = self.path == "/healthz"
        self._send(200 if known else 404, b"ok" if known else b"not found", "text/plain")

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or -1)
        if not 0 <= size <= _MOST:
            self.close_connection = True  # the body stays unread
            return self._send(413, b"too large, or without a length", "text/plain")
        body = self.rfile.read(size)
        if self.path.partition("?")[0] != MARK_PATH:
            return self._send(404, b"not found", "text/plain")
        try:
            self._send(200, review(body), "application/json")
        except ValueError as error:
            self._send(400, str(error).encode(), "text/plain")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: the kubelet asks every few seconds."""


class Server(ThreadingHTTPServer):
    """HTTPS. The handshake is in the thread of the connection: one client must not stop the others."""

    daemon_threads = True

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(("", port), Handler)
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: a connection without a handshake is not ours to explain."""


def record(recorder: Recorder) -> None:
    """Record best trials until the process ends."""
    said = ""
    while True:
        try:
            recorder.once()
            said = ""
        except CallError as error:
            if str(error) != said:  # once for each reason
                print(f"best trials: {error}", flush=True)  # noqa: T201 - the log of its pod
            said = str(error)
        threading.Event().wait(_PAUSE_SECONDS)


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(_CERTIFICATE / "tls.crt", _CERTIFICATE / "tls.key")
    recorder = Recorder(ApiServer(), os.environ["RECORDER_IMAGE"], json.loads(os.environ["PROJECT_TOKENS"]))
    threading.Thread(target=record, args=(recorder,), daemon=True).start()
    # The first process of a container gets no signal that it does not handle: its pod would end after 30 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(PORT, context).serve_forever()


if __name__ == "__main__":
    main()
