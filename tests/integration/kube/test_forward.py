"""Port-forwards into real pods on a real node: exact bytes, many at a time, over a pod's replacement."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
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
    """The shared node, with the echo server on it."""
    ensure_namespace(node.kube, NAMESPACE, node.name)
    node.kube.apply(*echo_server(node.image))
    wait_ready(node.kube, NAMESPACE, progress=Silent(), cancel=Cancel(), seconds=60)
    return node


def echo_server(image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A Service whose port 80 is the pods' port named `echo`."""
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
    """Send while receiving; how many bytes came back, and whether they are the same in the same order."""
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


def test_a_hundred_megabytes_arrive_exactly_both_ways(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        assert echo(address, 100) == (100 * MEGABYTE, True)


def test_several_connections_at_a_time_do_not_mix(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "app=echo", 9000) as address, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: echo(address, 4), range(8)))
    assert results == [(4 * MEGABYTE, True)] * 8


def test_an_answer_is_read_to_its_end_when_the_client_has_sent_all(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address, connect(address) as client:
        client.sendall(b"x" * MEGABYTE)
        client.shutdown(socket.SHUT_WR)
        seen = 0
        while seen < MEGABYTE and (data := client.recv(MEGABYTE)):
            seen += len(data)
    assert seen == MEGABYTE


def test_a_replaced_pod_ends_its_connections_and_new_ones_reach_the_next(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        with connect(address) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"a"
            (pod,) = node.kube.list("v1", "Pod", NAMESPACE, labels="app=echo")
            node.kube.delete("v1", "Pod", pod["metadata"]["name"], NAMESPACE)
            assert client.recv(1) == b""
        assert echo(address, 1) == (MEGABYTE, True)


def test_leaving_ends_open_connections(node: Node) -> None:
    with forward(node.kube, NAMESPACE, "service/echo", 80) as address:
        client = connect(address)
        client.sendall(b"a")
        assert client.recv(1) == b"a"
    with client:
        assert client.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_a_taken_port_is_named(node: Node) -> None:
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
def test_where_there_is_nothing_to_forward_to_it_says_so(
    node: Node, selector: str, port: int, why: str
) -> None:
    with pytest.raises(StepError) as refused, forward(node.kube, NAMESPACE, selector, port):
        raise AssertionError("it must not begin")
    assert refused.value.why == why


def test_a_port_nobody_listens_on_ends_the_connection_and_says_why(node: Node) -> None:
    notes: list[str] = []
    with forward(node.kube, NAMESPACE, "app=echo", 9999, note=notes.append) as address:
        with connect(address) as client:
            client.sendall(b"a")
            assert client.recv(1) == b""
        wait_until("a note", lambda: bool(notes) or Pending("none"), seconds=10)
    assert "connection refused" in notes[0]


def test_logs_come_whole_by_line_and_as_they_are_written(node: Node) -> None:
    pods = [p["metadata"] for p in node.kube.list("v1", "Pod", NAMESPACE, labels="app=echo")]
    (name,) = (meta["name"] for meta in pods if "deletionTimestamp" not in meta)  # one was just replaced
    assert node.kube.logs(NAMESPACE, name, tail=1) == "listening\n"
    assert next(node.kube.follow_logs(NAMESPACE, name)) == "listening"
