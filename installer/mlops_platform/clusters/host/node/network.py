"""Owns the node's network: one veth pair between the host and the node's own namespace."""

from __future__ import annotations

import json
from enum import Enum

from mlops_platform.adapters import process
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host.layout import Node, Place

INSIDE_INTERFACE = "eth0"


class Link(Enum):
    """Whose the interface with the node's name is."""

    NONE = ""
    OURS = "ours"
    FOREIGN = "not made by us: it has another alias"


def connect(node: Node, pid: int) -> None:
    """From the host, for the network namespace of process `pid`. Raises CommandFailed."""
    _ip(
        f"link add {node.interface} type veth peer name {INSIDE_INTERFACE} netns {pid}",
        f"link set {node.interface} alias {node.alias}",
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


def find(place: Place) -> Link:
    listed = process.run(["ip", "-json", "-details", "link"], seconds=10).stdout
    return judge(json.loads(listed or "[]"), place)


def judge(rows: list[dict[str, object]], place: Place) -> Link:
    """From what `ip -json link` lists. Somebody may have made an interface of our name by hand."""
    named = [row for row in rows if row.get("ifname") == place.interface]
    if not named:
        return Link.NONE
    return Link.OURS if named[0].get("ifalias") == place.alias else Link.FOREIGN


def remove(place: Place) -> None:
    """It goes with the node's namespace, a moment after its last process; an orphan of ours is deleted."""
    if find(place) is not Link.OURS:
        return
    process.run(["ip", "link", "delete", place.interface], ok=(0, 1), seconds=10)
    wait_until(
        f"interface {place.interface} gone",
        lambda: Pending("it is still there") if find(place) is Link.OURS else True,
        seconds=10,
        command=f"ip link show {place.interface}",
    )


def refuse_foreign(place: Place) -> None:
    """Raises StepError where the node's name is taken by somebody else's interface."""
    if find(place) is Link.FOREIGN:
        raise StepError(
            f"an interface named {place.interface} exists, and this tool did not make it",
            why="the node needs one of that name",
            hint="rename or delete it",
            command=f"ip -details link show {place.interface}",
        )


def _ip(*lines: str) -> None:
    process.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n", seconds=20, what="ip -batch")
