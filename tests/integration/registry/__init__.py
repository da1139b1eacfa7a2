"""A real registry for tests, the CNCF's `distribution`, with or without a login."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from mlops_platform.adapters.process import tail
from mlops_platform.adapters.programs import Program
from mlops_platform.adapters.wait import Pending, wait_until

from tests.integration.apiserver import built, free_port

_PROGRAM = Program("test-registry", Path(__file__).parent / "program")
USER, PASSWORD = "ada", "correct horse"
_BCRYPT = "$2a$04$kuI82jpVPmV1DOz8lNzlu.FHa7Kikk.ivwP1xeHQ/8XiQJN0Fljei"  # of that password
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Server:
    """A running registry; `host` is '127.0.0.1:PORT'."""

    host: str

    def manifest(self, repository: str, tag: str) -> dict[str, Any]:
        request = Request(
            f"http://{self.host}/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFEST}
        )
        with urlopen(request) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def serving(
    folder: Path, *, port: int = 0, login: bool = False, within: Sequence[str] = ()
) -> Iterator[Server]:
    """Run a registry on loopback, in the network namespace of `within`. They may share images."""
    binary = built(_PROGRAM) / "registry"
    server = Server(f"127.0.0.1:{port or free_port()}")
    file = folder / f"{'within' if within else 'here'}.yml"
    text = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder / 'data'}}}}}\n"
    text += f"http: {{addr: '{server.host}'}}\n"
    if login:
        (folder / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
        text += f"auth: {{htpasswd: {{realm: tests, path: {folder / 'htpasswd'}}}}}\n"
    file.write_text(text)
    log = file.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen([*within, str(binary), "serve", str(file)], stdout=out, stderr=out)
    try:
        wait_until("the registry", lambda: _answers(server, process, log, asks=not within), seconds=30)
        yield server
    finally:
        process.kill()
        process.wait()


def _answers(server: Server, process: subprocess.Popen[bytes], log: Path, *, asks: bool) -> bool | Pending:
    """True if the registry answers or, in another network namespace, if its log says so."""
    assert process.poll() is None, tail(log.read_text())
    if not asks:
        return "listening on" in log.read_text() or Pending("starting")
    try:
        with urlopen(f"http://{server.host}/v2/"):
            return True
    except HTTPError:
        return True  # it requires a login
    except OSError as error:
        return Pending(str(error))
