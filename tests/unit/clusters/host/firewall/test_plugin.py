"""The CNI plugin as a real process, called as containerd calls it, with an agent's socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.clusters.host.firewall import plugin

RESULT = {"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.77.128.2/17"}], "dns": {}}
ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=app;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=x;K8S_POD_UID=u1"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def heard(place: Path) -> Iterator[list[dict[str, Any]]]:
    """An agent that admits `web` only."""
    listening, said = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), list[dict[str, Any]]()
    listening.bind(str(place))
    listening.listen()

    def answer() -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as question:
            said.append(json.loads(question.readline()))
            failure = "" if said[-1]["name"] == "web" else "no such pod"
            connection.sendall(json.dumps({"failure": failure}).encode() + b"\n")

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield said
    listening.close()


def _plugin(place: Path, command: str, args: str = ARGS) -> tuple[int, dict[str, Any]]:
    given = {"cniVersion": "0.4.0", "name": "mlops", "type": "t", "socket": str(place), "prevResult": RESULT}
    done = subprocess.run(
        [sys.executable, "-ISs", str(plugin.__file__)],
        input=json.dumps(given),
        env={"CNI_COMMAND": command, "CNI_ARGS": args},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout or "{}")


def test_admitted_pod_keeps_result_of_earlier_plugins(place: Path, heard: list[dict[str, Any]]) -> None:
    assert _plugin(place, "ADD") == (0, RESULT)
    asked = {"act": "admit", "namespace": "app", "name": "web", "uid": "u1", "address": "10.77.128.2"}
    assert heard == [asked]


def test_rejected_pod_gets_the_reason(place: Path, heard: list[dict[str, Any]]) -> None:
    status, said = _plugin(place, "ADD", ARGS.replace("NAME=web", "NAME=other"))
    assert (status, said["msg"]) == (1, "firewall: no such pod")


def test_no_pod_starts_without_agent(place: Path) -> None:
    status, said = _plugin(place, "ADD")
    assert status == 1 and said["msg"].startswith("firewall: the agent does not answer")


@pytest.mark.parametrize("command", ["DEL", "CHECK"])
def test_end_of_pod_needs_no_agent(place: Path, command: str) -> None:
    assert _plugin(place, command) == (0, {})


def test_plugin_supports_cni_version_of_containerd(place: Path) -> None:
    assert "0.4.0" in _plugin(place, "VERSION")[1]["supportedVersions"]
