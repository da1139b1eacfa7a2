"""The server process: `python -m tests.fakes.aws FILE` writes its port to FILE once it answers."""

from __future__ import annotations

import ctypes
import re
import signal
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from tests.fakes.aws import ec2, eks, iam, limits

_PR_SET_PDEATHSIG = 1


def _one_at_a_time(application: Any) -> Any:
    """Serialize requests: moto iterates over dictionaries that other threads change (Terraform sends ten)."""
    lock = threading.Lock()

    def call(environment: Any, start: Any) -> Any:
        with lock:
            return application(environment, start)

    return call


def _once(application: Any) -> Any:
    """Answer a repeated request from a cache, so that it makes nothing twice: moto ignores client tokens.
    https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html"""
    answers: dict[tuple[str, str], tuple[str, list[tuple[str, str]], bytes]] = {}

    def call(environment: Any, start: Any) -> Any:
        if environment["REQUEST_METHOD"] != "POST":
            return application(environment, start)
        body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        environment["wsgi.input"] = BytesIO(body)
        token = re.search(rb"(?:^|&)ClientToken=([^&]+)", body)
        action = re.search(rb"(?:^|&)Action=(\w+)", body)
        if not token or not action:
            return application(environment, start)
        key = (action[1].decode(), token[1].decode())
        if key not in answers:
            head: list[Any] = []
            content = b"".join(application(environment, lambda *given: head.extend(given[:2])))
            answers[key] = (head[0], head[1], content)
        status, headers, content = answers[key]
        start(status, headers)
        return [content]

    return call


def main(port_file: Path) -> None:
    # The server dies with its test run.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    ec2.extend()
    eks.extend()
    iam.extend()
    limits.extend()
    server = make_server(
        "127.0.0.1",
        0,
        _one_at_a_time(_once(DomainDispatcherApplication(create_backend_app))),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    temporary = port_file.with_suffix(".new")
    temporary.write_text(str(server.port))
    temporary.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
