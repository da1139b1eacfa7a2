"""Owns the proof of who reaches whom: case files of policies, and packets through a real nft.

Case files (tests/cases/firewall) name all that is allowed, as `from to protocol port`; every other attempt
of everybody on everybody must fail.
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
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.host.firewall.model import Policy
from mlops_platform.clusters.host.firewall.render import render

import tests
from tests.integration.firewall.cast import ADDRESSES, NODE, RANGE, everybody
from tests.integration.firewall.member import PORTS
from tests.integration.firewall.stage import GATEWAY, Attempt, Stage, a_stage

pytestmark = pytest.mark.integration
CASES = sorted((tests.CASES / "firewall").glob("*.yaml"))
_SEND = """
import socket
where = "ff02::1", 9, 0, socket.if_nametoindex("eth0")
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", where)
"""
# The node's own packets are never filtered: probes, webhooks, port-forwards.
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
def stage() -> Iterator[Stage]:
    with a_stage(NODE, ADDRESSES) as made:
        yield made


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_exactly_what_the_case_allows(stage: Stage, file: Path) -> None:
    case = yaml.safe_load(file.read_text())
    expected = {attempt for line in (*case["allowed"], _ALWAYS) for attempt in _meant(line)}
    stage.load(render(everybody(tuple(map(Policy.of, case["policies"]))), RANGE))
    found = stage.opened(sorted(ALL), expected)
    assert (found - expected, expected - found) == (set(), set()), "(allowed by mistake, refused by mistake)"


def test_nothing_slips_through_while_rules_are_replaced(stage: Stage) -> None:
    case = yaml.safe_load((CASES[0].parent / "03-ingress.yaml").read_text())
    policies = tuple(map(Policy.of, case["policies"]))
    unrelated = replace(policies[0], namespace="strange", name="unrelated")
    both = [render(everybody(given), RANGE) for given in (policies, (*policies, unrelated))]
    stage.load(both[0])
    loaded, stop = 0, threading.Event()

    def reload() -> None:
        nonlocal loaded
        while not stop.is_set():
            stage.load(both[loaded % 2])
            loaded += 1

    allowed: set[Attempt] = {("client", "web", "tcp", 8080)}
    refused = {("other", "web", "tcp", 8080), ("outside", "web", "tcp", 9090), ("client", "web", "tcp", 9091)}
    with ThreadPoolExecutor(1) as pool:
        reloading = pool.submit(reload)
        try:
            for _ in range(40):
                assert stage.opened(allowed | refused, allowed) == allowed
        finally:
            stop.set()
        reloading.result()
    assert loaded > 10, "too few to prove anything"


def test_a_pod_cannot_speak_with_anothers_address(stage: Stage) -> None:
    """Its capabilities may allow it to: only the way its answers would take says who it is."""
    stage.load(render(everybody(()), RANGE))
    impostor = stage.members["impostor"]
    attempts: set[Attempt] = {("impostor", "web", "tcp", 8080), ("impostor", "web", "udp", 53)}
    impostor.run("ip", "addr", "add", f"{ADDRESSES['client']}/32", "dev", "lo")
    impostor.run("ip", "route", "replace", "default", "via", GATEWAY, "src", ADDRESSES["client"])
    try:
        assert stage.opened(attempts, set()) == set()
        assert stage.dropped("not the sender's address") > 0
    finally:
        impostor.run("ip", "route", "replace", "default", "via", GATEWAY)
        impostor.run("ip", "addr", "delete", f"{ADDRESSES['client']}/32", "dev", "lo")
    assert stage.opened(attempts, attempts) == attempts


def test_version_6_is_no_way_around(stage: Stage) -> None:
    """Every pod has a link-local address, and the node's programs listen on version 6 too."""
    stage.load(render(everybody(()), RANGE))

    def heard() -> int | Pending:
        stage.members["client"].run(sys.executable, "-ISs", "-c", _SEND, ok=(0, 1))  # 1: no address yet
        return stage.dropped("version 6 has no policies here") or Pending("nothing was sent")

    assert wait_until("a packet", heard, seconds=20)


def _meant(line: str) -> set[Attempt]:
    """`*`: everyone, every port; `a,b`: either; `*-a`: everyone but a."""
    columns = [_names(column) for column in line.split()]
    found = {
        attempt
        for attempt in ALL
        if all(
            name in names if names else True for name, names in zip(map(str, attempt), columns, strict=True)
        )
    }
    assert found, f"{line}: means nothing"
    return found


def _names(column: str) -> set[str]:
    everyone = {str(name) for attempt in ALL for name in attempt}
    if column.startswith("*"):
        return everyone - set(column.split("-", 1)[1].split(",")) if "-" in column else set()
    return set(column.split(","))
