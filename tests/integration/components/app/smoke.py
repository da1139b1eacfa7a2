"""Positive and negative tests."""

import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from probes import Probes, patiently  # type: ignore[import-not-found]  # it is beside this file in the Job

PASSWORD = Path("/run/secrets/admin/password").read_text()
probes = Probes()


def ask(method: str, path: str, body: str | None = None, password: str = "") -> str:
    data = None if body is None else body.encode()
    request = urllib.request.Request(
        f"{os.environ['URL']}/{path}", data, {"Authorization": password}, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


patiently(lambda: ask("GET", ""), urllib.error.URLError)
if "probe" in sys.argv:
    with probes.refused("a write without the password", urllib.error.HTTPError, "403"):
        ask("PUT", "stolen", "x")
if "write" in sys.argv:
    with probes.works("written"):
        ask("PUT", "kept", os.environ["RUN"], PASSWORD)
if "read" in sys.argv:
    with probes.works("survives"):
        assert ask("GET", "kept") == os.environ["RUN"]
probes.end()
