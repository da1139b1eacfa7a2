"""Port-forwards to pods on a real node: exact bytes, parallel connections, replaced pods."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from mlops_platform.adapters.kube.forward import Address, forward
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Silent

from tests.integration.node import Node

pytestmark = pytest.mark.integration

MEGABYTE = 1 << 20
NAMESPACE = "echo"
ECHO = """
import socket, threading
def serve(client):
    with client:
        while data := client.recv(65536):
            client.sendall(data)
listener = socket.create_server(("0.0.0.0", 9000), backlog=64)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture(scope="module")
def node(node: Node) -> Node:
    """The shared node with an echo server."""
    ensure_namespace(node.kube, NAMESPACE, node.name)
    node.kube.apply(*echo_server(node.image))
    wait_ready(node.kube, NAMESPACE, progress=Silent(), cancel=Cancel(), seconds=60)
    return node


def echo_server(image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Service whose port 80 goes to the pods' port `echo`."""
    labels = {"app": "echo"}
    container = {
        "name": "echo",
        "image": image,
        "command": ["python3", "-c", ECHO],
        "ports": [{"name": "echo", "containerPort": 9000}],
        "readinessProbe": {"tcpSocket": {"port": "echo"}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    meta = {"name": "echo", "namespace": NAMESPACE}
    template = {"metadata": {"labels": labels}, "spec": spec}
    return (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "echo"}]},
        },
    )


def connect(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=60)


def echo(address: Address, megabytes: int) -> tuple[int, bool]:
    """Send while receiving; return the number of received bytes and if they equal the sent ones."""
    noise = os.urandom(MEGABYTE)
    sent, seen, count = hashlib.sha256(), hashlib.sha256(), 0
    with connect(address) as client:

        def send() -> None:
            for number in range(megabytes):
                block = number.to_bytes(8, "big") + noise[8:]
                sent.update(block)
                client.sendall(block)

        sender = threading.Thread(target=send)
        sender.start()
        while count < megabytes * MEGABYTE and (data := client.recv(MEGABYTE)):
            seen.update(data)
            count += len(data)
        sender.join()
    return count, sent.digest() == seen.digest()


def test_a_hundred_megabytes_arrive_in_both_directions(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        assert echo(address, 100) == (100 * MEGABYTE, True)


def test_parallel_connections_do_not_mix(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "app=echo", 9000) as address, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: echo(address, 4), range(8)))
    assert results == [(4 * MEGABYTE, True)] * 8


def test_answer_is_complete_after_half_close_of_the_client(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address, connect(address) as client:
        client.sendall(b"x" * MEGABYTE)
        client.shutdown(socket.SHUT_WR)
        seen = 0
        while seen < MEGABYTE and (data := client.recv(MEGABYTE)):
            seen += len(data)
    assert seen == MEGABYTE


def test_new_connections_reach_the_replaced_pod(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        with connect(address) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"a"
            (pod,) = node.kube.list("v1", "Pod", NAMESPACE, labels="app=echo")
            node.kube.delete("v1", "Pod", pod["metadata"]["name"], NAMESPACE)
            assert client.recv(1) == b""
        assert echo(address, 1) == (MEGABYTE, True)


def test_exit_closes_open_connections(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        client = connect(address)
        client.sendall(b"a")
        assert client.recv(1) == b"a"
    with client:
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_port_in_use_is_named(node: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(StepError) as refused,
            forward(node.kube, NAMESPACE, "service/echo", 80, port),
        ):
            raise AssertionError("it must not begin")
    assert refused.value.what == f"port {port} of this machine cannot be used"
    assert refused.value.hint == "choose another port, or 0 for a free one"


@pytest.mark.parametrize(
    ("selector", "port", "why"),
    [
        ("app=none", 9000, "no pods"),
        ("service/none", 80, "there is no Service none"),
        ("service/echo", 81, "Service echo has no pods, or no port 81"),
    ],
)
def test_missing_target_is_an_error(node: Node, selector: str, port: int, why: str) -> None:
    with pytest.raises(StepError) as refused, forward(node.kube, NAMESPACE, selector, port):
        raise AssertionError("it must not begin")
    assert refused.value.why == why


def test_closed_port_ends_the_connection_with_a_reason(node: Node) -> None:
    notes: list[str] = []
    with forward(node.kube, NAMESPACE, "app=echo", 9999, note=notes.append) as address:
        with connect(address) as client:
            client.sendall(b"a")
            with suppress(ConnectionResetError):  # the end comes before `a` is read
                assert client.recv(1) == b""
        wait_until("a note", lambda: bool(notes) or Pending("none"), seconds=10)
    assert "connection refused" in notes[0]


def test_logs_are_complete_and_followed_by_line(node: Node) -> None:
    pods = [p["metadata"] for p in node.kube.list("v1", "Pod", NAMESPACE, labels="app=echo")]
    (name,) = (meta["name"] for meta in pods if "deletionTimestamp" not in meta)  # one was just replaced
    assert node.kube.logs(NAMESPACE, name, tail=1) == "listening\n"
    assert next(node.kube.follow_logs(NAMESPACE, name)) == "listening"
