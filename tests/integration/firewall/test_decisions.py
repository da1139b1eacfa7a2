"""Case files of policies, checked with packets through a real nft.

A case file (tests/cases/firewall) lists every allowed connection, as `from to protocol port`; every other
attempt between any two endpoints must fail.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.host.firewall.model import Policy
from mlops_platform.clusters.host.firewall.render import render

import tests
from tests.integration.firewall.endpoint import PORTS
from tests.integration.firewall.pods import ADDRESSES, NODE, RANGE, snapshot_with
from tests.integration.firewall.topology import GATEWAY, Attempt, Topology, running_topology

pytestmark = pytest.mark.integration
CASES = sorted((tests.CASES / "firewall").glob("*.yaml"))
_SEND = """
import socket
where = "ff02::1", 9, 0, socket.if_nametoindex("eth0")
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", where)
"""
# Packets that the node sends are never filtered: probes, webhooks, port-forwards.
_ALWAYS = "node * * *"
ALL = {
    (sender, to, protocol, port)
    for sender in (*ADDRESSES, "node")
    for to in (*ADDRESSES, "node")
    if sender != to
    for protocol, ports in PORTS.items()
    for port in ports
}


@pytest.fixture(scope="module")
def topology() -> Iterator[Topology]:
    with running_topology(NODE, ADDRESSES) as made:
        yield made


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_rules_allow_exactly_the_connections_of_the_case(topology: Topology, file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    expected = {attempt for line in (*case["allowed"], _ALWAYS) for attempt in _meant(line)}
    topology.load(render(snapshot_with(tuple(map(Policy.of, case["policies"]))), RANGE))
    found = topology.opened(sorted(ALL), expected)
    assert (found - expected, expected - found) == (set(), set()), "(allowed by mistake, denied by mistake)"


def test_api_server_admits_policies_of_every_case(kube: Kube, namespace: str) -> None:
    for number, policy in enumerate(
        p for file in CASES for p in yaml.safe_load(file.read_text())["policies"]
    ):
        named = {"name": f"{policy['metadata']['name']}.{number}", "namespace": namespace}
        kube.create(
            {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy, "metadata": named}
        )


def test_no_denied_connection_succeeds_while_rules_are_replaced(topology: Topology) -> None:
    case = yaml.safe_load((CASES[0].parent / "03-ingress.yaml").read_text())
    policies = tuple(map(Policy.of, case["policies"]))
    unrelated = replace(policies[0], namespace="strange", name="unrelated")
    both = [render(snapshot_with(given), RANGE) for given in (policies, (*policies, unrelated))]
    topology.load(both[0])
    loaded, stop = 0, threading.Event()

    def reload() -> None:
        nonlocal loaded
        while not stop.is_set():
            topology.load(both[loaded % 2])
            loaded += 1

    allowed: set[Attempt] = {("client", "web", "tcp", 8080)}
    denied = {("other", "web", "tcp", 8080), ("outside", "web", "tcp", 9090), ("client", "web", "tcp", 9091)}
    with ThreadPoolExecutor(1) as pool:
        reloading = pool.submit(reload)
        try:
            for _ in range(40):
                assert topology.opened(allowed | denied, allowed) == allowed
        finally:
            stop.set()
        reloading.result()
    assert loaded > 10, "too few reloads for a result"


def test_pod_cannot_use_the_address_of_another_pod(topology: Topology) -> None:
    """Its capabilities may allow that; the firewall drops packets whose replies would take another path."""
    topology.load(render(snapshot_with(()), RANGE))
    impostor = topology.endpoints["impostor"]
    attempts: set[Attempt] = {("impostor", "web", "tcp", 8080), ("impostor", "web", "udp", 53)}
    impostor.run("ip", "addr", "add", f"{ADDRESSES['client']}/32", "dev", "lo")
    impostor.run("ip", "route", "replace", "default", "via", GATEWAY, "src", ADDRESSES["client"])
    try:
        assert topology.opened(attempts, set()) == set()
        assert topology.dropped("not the sender's address") > 0
    finally:
        impostor.run("ip", "route", "replace", "default", "via", GATEWAY)
        impostor.run("ip", "addr", "delete", f"{ADDRESSES['client']}/32", "dev", "lo")
    assert topology.opened(attempts, attempts) == attempts


def test_ipv6_does_not_bypass_policies(topology: Topology) -> None:
    """Every pod has a link-local address, and the node's programs listen on IPv6 too."""
    topology.load(render(snapshot_with(()), RANGE))

    def heard() -> int | Pending:
        topology.endpoints["client"].run(sys.executable, "-ISs", "-c", _SEND, ok=(0, 1))  # 1: no address yet
        return topology.dropped("no policies for IPv6") or Pending("nothing was sent")

    assert wait_until("a packet", heard, seconds=20)


def _meant(line: str) -> set[Attempt]:
    """Expand a line of a case. `*`: all endpoints or ports; `a,b`: either; `*-a`: all except a."""
    columns = [_names(column) for column in line.split()]
    found = {
        attempt
        for attempt in ALL
        if all(
            name in names if names else True for name, names in zip(map(str, attempt), columns, strict=True)
        )
    }
    assert found, f"{line}: matches no attempt"
    return found


def _names(column: str) -> set[str]:
    everyone = {str(name) for attempt in ALL for name in attempt}
    if column.startswith("*"):
        return everyone - set(column.split("-", 1)[1].split(",")) if "-" in column else set()
    return set(column.split(","))
