"""Smoke test from inside a project."""

import os
import socket
from pathlib import Path

from probes import Probes, patiently  # type: ignore[import-not-found]

probes = Probes()
with probes.works("the port is reached"):
    patiently(
        lambda: socket.create_connection(("shelf.shelf.svc", int(os.environ["PORT"])), 2).close(), OSError
    )
with probes.works("a token for the component"):
    assert Path("/run/secrets/token/token").read_text().count(".") == 2
with probes.refused("a token of the API server", FileNotFoundError):
    Path("/run/secrets/kubernetes.io/serviceaccount/token").read_text()
with probes.refused("the other project is this one", AssertionError):
    assert os.environ["PROJECT"] == os.environ["OTHER"]
probes.end()
