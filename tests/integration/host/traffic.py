"""Pods that listen, and a host outside the cluster; connections are made from their network namespaces."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters import process
from mlops_platform.adapters.wait import Pending, wait_until

from tests.integration.host.world import PROBE, World, pod, with_argument

OUTSIDE = "192.0.2.9"
_INTERFACE = "outside0"
# Opens TCP connections, one after another, each for at most 2 s; prints which of them succeeded.
_ASK = """
import json, socket, sys
def reached(end):
    try:
        socket.create_connection(end, 2).close()
    except OSError:
        return False
    return True
print(json.dumps([reached(end) for end in json.loads(sys.argv[1])]))
"""
# Prints the times when connections to port 8080 begin to succeed or fail, by the clock of the machine.
_WATCH = """
import select, socket, sys, time
last = ""
while True:
    try:
        socket.create_connection((sys.argv[1], 8080), 5).close()
        now = "open"
    except OSError:
        now = "refused"
    if now != last:
        print(now, time.monotonic(), flush=True)
    last = now
    select.select([], [], [], 0.002)
"""
_LISTEN = """
import socket
listening = socket.create_server(("0.0.0.0", 8080))
print("ready", flush=True)
while True:
    listening.accept()[0].close()
"""
End = tuple[str, int]


@dataclass(frozen=True)
class Speaker:
    """A process whose network namespace the connections come from."""

    pid: int
    address: str

    def reaches(self, *ends: End) -> list[bool]:
        asked = [sys.executable, "-ISs", "-c", _ASK, json.dumps(ends)]
        said = process.run(["nsenter", "-t", str(self.pid), "-n", "--", *asked], seconds=60).stdout
        found: list[bool] = json.loads(said)
        return found

    def settles(self, expected: Mapping[End, bool]) -> None:
        """Wait until the connections are as expected, then check that they stay so."""

        def observe() -> bool | Pending:
            found = dict(zip(expected, self.reaches(*expected), strict=True))
            return found == expected or Pending(f"{found}")

        wait_until("the expected connections", observe, seconds=60)
        assert dict(zip(expected, self.reaches(*expected), strict=True)) == expected


def listener(world: World, space: str, name: str) -> Speaker:
    """Start a pod that listens on 8080 and 9090 until it is deleted."""
    mark = f"name={space}/{name}"
    args = ("listen=tcp:8080", "listen=tcp:9090", mark, "wait")
    world.kube.apply(pod(world.images.reference(PROBE), name, args, space=space))
    found = until(world, space, name, lambda status: status.get("phase") == "Running")
    address = found["status"]["podIP"]

    def process_of() -> int | Pending:
        found = with_argument(world.node.group, mark)
        return found[-1] if found else Pending("not started")

    return Speaker(wait_until(f"process of {name}", process_of, seconds=60), address)


def until(
    world: World, space: str, name: str, done: Callable[[dict[str, Any]], bool], seconds: float = 180
) -> dict[str, Any]:
    def observe() -> dict[str, Any] | Pending:
        found = world.kube.get("v1", "Pod", name, space)
        return found if found and done(found["status"]) else Pending(json.dumps(found and found["status"]))

    return wait_until(f"pod {space}/{name}", observe, seconds=seconds, longest_delay=0.2)


@dataclass(frozen=True)
class FirstConnections:
    """First connections of new pods: denied ones that succeeded (free), allowed ones that failed (lost)."""

    free: int
    lost: int


def first_connections(world: World, space: str, address: str, number: int) -> FirstConnections:
    """Start pods, twenty at a time; their first connection (9090) is denied, the second (8080) allowed."""
    args = [f"connect={address}:{port}" for port in (9090, 8080)]
    free = lost = 0
    for first in range(0, number, 20):
        names = [f"new-{n}" for n in range(first, min(first + 20, number))]
        world.kube.apply(*(pod(world.images.reference(PROBE), name, args, space=space) for name in names))
        for name in names:
            until(world, space, name, lambda status: status.get("phase") == "Succeeded")
            denied, allowed = world.kube.logs(space, name).splitlines()
            free += "<nil>" in denied
            lost += "<nil>" not in allowed
            world.kube.delete("v1", "Pod", name, space)
    return FirstConnections(free, lost)


def latencies(world: World, asks: Speaker, address: str, allows: dict[str, Any], times: int) -> list[float]:
    """Return the seconds from a request for a policy, or for its end, to the first changed connection."""
    watch = subprocess.Popen(
        ["nsenter", "-t", str(asks.pid), "-n", "--", sys.executable, "-ISs", "-c", _WATCH, address],
        stdout=subprocess.PIPE,
        text=True,
    )
    meta, took = allows["metadata"], []
    try:
        assert watch.stdout
        assert watch.stdout.readline().startswith("refused")
        for number in range(2 * times):
            started = time.monotonic()
            if number % 2 == 0:
                world.kube.apply(allows)
            else:
                world.kube.delete(allows["apiVersion"], allows["kind"], meta["name"], meta["namespace"])
            said, when = watch.stdout.readline().split()
            assert said == ("refused" if number % 2 else "open")
            took.append(float(when) - started)
    finally:
        watch.kill()
        watch.wait()
        assert watch.stdout
        watch.stdout.close()
    return took


@contextmanager
def outside_host(world: World) -> Iterator[Speaker]:
    """Run a host outside the cluster: an interface and a route of the node, and a server on port 8080."""
    running = world.supervision.running()
    assert running
    host = subprocess.Popen(
        ["unshare", "--net", "--", sys.executable, "-ISs", "-c", _LISTEN], stdout=subprocess.PIPE
    )
    try:
        assert host.stdout and host.stdout.readline() == b"ready\n"
        in_node, in_host = (["nsenter", "-t", str(pid), "-n", "--"] for pid in (running.init.pid, host.pid))
        gateway = str(world.node.address)
        _batch(
            in_node,
            f"link add {_INTERFACE} type veth peer name eth0 netns {host.pid}",
            f"link set {_INTERFACE} up",
            f"route add {OUTSIDE} dev {_INTERFACE} src {gateway}",
        )
        _batch(
            in_host,
            "link set eth0 up",
            f"addr add {OUTSIDE}/32 dev eth0",
            f"route add {gateway} dev eth0",
            f"route add default via {gateway}",
        )
        yield Speaker(host.pid, OUTSIDE)
    finally:
        host.kill()
        host.wait()
        assert host.stdout
        host.stdout.close()


def _batch(inside: Sequence[str], *lines: str) -> None:
    process.run([*inside, "ip", "-batch", "-"], stdin="\n".join(lines) + "\n", seconds=20)
