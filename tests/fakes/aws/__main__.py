"""Owns the server process: python -m tests.fakes.aws FILE; its port is written to FILE once it answers."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
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
    """moto walks through dictionaries that other threads change; Terraform asks ten things at once."""
    lock = threading.Lock()

    def call(environment: Any, start: Any) -> Any:
        with lock:
            return application(environment, start)

    return call


def main(said: Path) -> None:
    # A test run that is killed takes its cloud with it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    ec2.extend()
    eks.extend()
    iam.extend()
    limits.extend()
    server = make_server(
        "127.0.0.1",
        0,
        _one_at_a_time(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    beside = said.with_suffix(".new")
    beside.write_text(str(server.port))
    beside.rename(said)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
