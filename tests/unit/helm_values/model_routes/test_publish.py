"""Publication of routes: nginx's own test decides, and what it rejects never replaces other routes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# In place of nginx: its test fails if a file beside the configuration has the word.
NGINX = """#!/bin/sh
for argument; do case "$argument" in *nginx.conf) main=$argument;; esac; done
! grep -rqs {word} "${{main%/*}}" || {{ echo "unknown directive" >&2; exit 1; }}
"""


# In place of nginx's master: a line for each reload.
MASTER = """
import signal, sys
signal.signal(signal.SIGHUP, lambda *_: print("reload", flush=True))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
while True:
    signal.pause()
"""


class Master:
    """A process that gets the signals for nginx."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._line() == "up\n"

    @property
    def pid(self) -> int:
        return self._process.pid

    def require_reload(self) -> None:
        """Wait for a reload."""
        assert self._line() == "reload\n"

    def end(self) -> str:
        """End the process; the reloads that no call of `require_reload` has read."""
        self._process.send_signal(signal.SIGTERM)  # handled after a SIGHUP that is pending
        return self._process.communicate(timeout=30)[0]

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@pytest.fixture
def master() -> Iterator[Master]:
    with subprocess.Popen([sys.executable, "-c", MASTER], stdout=subprocess.PIPE, text=True) as process:
        yield Master(process)
        process.kill()


@pytest.fixture
def publisher(
    scripts: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    master: Master,
) -> Any:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nginx").write_text(NGINX.format(word="unacceptable"))
    (programs / "nginx").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "nginx.conf").write_text(f"include {tmp_path}/routes/current/locations.conf;\n")
    (tmp_path / "nginx.pid").write_text(f"{master.pid}\n")
    made = scripts.publish.Publisher(tmp_path / "routes", tmp_path / "nginx.conf", tmp_path / "nginx.pid")
    made.prepare()
    return made


def route(scripts: SimpleNamespace, model: str, source: str = "") -> Any:
    return scripts.routes.Route("a", model, (scripts.routes.Backend("stable", "10.96.0.1:80", 100, source),))


def in_use(folder: Path) -> str:
    return (folder / "routes/current/locations.conf").read_text()


def test_pod_is_not_ready_before_the_first_routes(publisher: Any, tmp_path: Path) -> None:
    assert (tmp_path / "routes/current/ready.conf").read_text() == "return 503;\n"


def test_new_routes_are_used_and_equal_ones_cost_no_reload(
    scripts: SimpleNamespace, publisher: Any, tmp_path: Path, master: Master
) -> None:
    assert publisher.publish([route(scripts, "one")])
    master.require_reload()
    assert not publisher.publish([route(scripts, "one")])
    assert "location /a/one/" in in_use(tmp_path)
    assert "return 200" in (tmp_path / "routes/current/ready.conf").read_text()
    assert publisher.publish([])
    master.require_reload()
    assert master.end() == ""


def test_route_that_nginx_rejects_is_left_out_and_the_others_change(
    scripts: SimpleNamespace, publisher: Any, tmp_path: Path
) -> None:
    publisher.publish([route(scripts, "one")])
    assert publisher.publish([route(scripts, "one"), route(scripts, "unacceptable"), route(scripts, "two")])
    seen = in_use(tmp_path)
    assert "location /a/one/" in seen and "location /a/two/" in seen and "unacceptable" not in seen


def test_configuration_that_nginx_rejects_whole_never_replaces_that_in_use(
    scripts: SimpleNamespace, publisher: Any, tmp_path: Path, master: Master
) -> None:
    publisher.publish([route(scripts, "one")])
    master.require_reload()
    (tmp_path / "nginx.conf").write_text("unacceptable;\n")
    assert not publisher.publish([route(scripts, "two")])
    assert "location /a/one/" in in_use(tmp_path)
    assert master.end() == ""


def test_restarted_container_keeps_the_routes_that_it_had(
    scripts: SimpleNamespace, publisher: Any, tmp_path: Path
) -> None:
    publisher.publish([route(scripts, "one")])
    publisher.prepare()
    assert "location /a/one/" in in_use(tmp_path)


def test_restarted_container_starts_without_routes_that_nginx_rejects(
    scripts: SimpleNamespace, publisher: Any, tmp_path: Path
) -> None:
    publisher.publish([route(scripts, "one")])
    (tmp_path / "routes/current/locations.conf").write_text("unacceptable;\n")
    publisher.prepare()
    assert in_use(tmp_path) == ""
