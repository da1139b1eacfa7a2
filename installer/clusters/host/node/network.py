"""Owns the node's network: one veth pair between the host and the node's own namespace."""

from __future__ import annotations

import json

from installer.adapters import process
from installer.adapters.wait import Pending, wait_until
from installer.clusters.host.layout import Node

INSIDE_INTERFACE = "eth0"


def connect(node: Node, pid: int) -> None:
    """From the host, for the network namespace of process `pid`. Raises CommandFailed."""
    _ip(
        f"link add {node.interface} type veth peer name {INSIDE_INTERFACE} netns {pid}",
        f"link set {node.interface} alias mlops-platform/{node.environment}",
        f"addr add {node.host_address}/{node.link.prefixlen} dev {node.interface}",
        f"link set {node.interface} up",
    )


def configure(node: Node) -> None:
    """From within. There is no default route: pods learn at once that nothing outside can be reached."""
    _ip(
        "link set lo up",
        f"addr add {node.address}/{node.link.prefixlen} dev {INSIDE_INTERFACE}",
        f"link set {INSIDE_INTERFACE} up",
        # A packet needs a route before the service's address is translated, else the node's own calls fail.
        f"route add {node.services} dev {INSIDE_INTERFACE} src {node.address}",
    )


def present(node: Node) -> bool:
    rows = json.loads(process.run(["ip", "-json", "link"], seconds=10).stdout or "[]")
    return any(row.get("ifname") == node.interface for row in rows)


def remove(node: Node) -> None:
    """It goes with the node's namespace, a moment after its last process; an orphan is deleted."""
    if not present(node):
        return
    process.run(["ip", "link", "delete", node.interface], ok=(0, 1), seconds=10)
    wait_until(
        f"interface {node.interface} gone",
        lambda: Pending("it is still there") if present(node) else True,
        seconds=10,
        command=f"ip link show {node.interface}",
    )


def _ip(*lines: str) -> None:
    process.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n", seconds=20, what="ip -batch")
