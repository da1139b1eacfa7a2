"""The script of probe pods, on loopback: reached, refused, allowed at first, reached late."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

SCRIPT = ROOT / "installer/mlops_platform/smoke/reaching.py"
HERE, NODE = "127.0.0.1", "192.0.2.1"


@contextmanager
def asking(folder: Path, *targets: tuple[int, bool], names: tuple[str, ...] = ()) -> Iterator[list[Any]]:
    """Run the script while the block runs; afterwards the list has its lines, by target or by name."""
    asked = [{"id": i, "host": HERE, "port": p, "expected": e} for i, (p, e) in enumerate(targets)]
    shutil.copy(SCRIPT, folder)
    (folder / "targets.json").write_text(json.dumps({"targets": asked, "names": names, "patience": 60}))
    argv = [sys.executable, "-ISs", str(folder / SCRIPT.name), "ask"]
    env = {**os.environ, "NODE_ADDRESS": NODE}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        found: list[Any] = []
        yield found
        out, _ = process.communicate(timeout=90)
    assert process.returncode == 0
    found += [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0)) as server:
        yield server


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    """A port without a listener."""
    with socket.socket() as bound:
        bound.bind((HERE, 0))
        yield bound


def port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def test_script_reports_reached_and_refused_targets(
    tmp_path: Path, listening: socket.socket, deaf: socket.socket
) -> None:
    with asking(tmp_path, (port(listening), True), (port(deaf), False), names=("localhost",)) as found:
        pass
    by_target = {line["target"]: line for line in found if "target" in line}
    assert by_target[0]["reached"] and by_target[0]["stable"]
    assert not by_target[1]["reached"] and not by_target[1]["ever"] and by_target[1]["stable"]
    assert by_target[1]["last"] == "ConnectionRefusedError" and by_target[1]["attempts"] >= 3
    assert [line for line in found if "name" in line] == [{"name": "localhost", "error": ""}]
    assert [line for line in found if "node" in line] == [{"node": NODE}]


def test_single_unexpected_connection_is_reported(tmp_path: Path, listening: socket.socket) -> None:
    with asking(tmp_path, (port(listening), False)) as found:
        listening.accept()[0].close()
        listening.close()  # refused from here on
    (line,) = (line for line in found if "target" in line)
    assert line["ever"] and not line["reached"] and line["stable"]


def test_expected_target_may_be_reached_late(
    tmp_path: Path, listening: socket.socket, deaf: socket.socket
) -> None:
    """After the second connection to one port, the other port has been refused at least once."""
    with asking(tmp_path, (port(listening), True), (port(deaf), True)) as found:
        for _ in range(3):
            listening.accept()[0].close()
        deaf.listen()
    late = next(line for line in found if line.get("target") == 1)
    assert late["reached"] and late["stable"] and late["attempts"] > 3
