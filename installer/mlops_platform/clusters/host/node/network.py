"""The node's network: one veth pair between the host and the node's namespace."""

from __future__ import annotations

import json
from enum import Enum

from mlops_platform.adapters import process
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError
from mlops_platform.clusters.host.layout import Node, Place

INSIDE_INTERFACE = "eth0"


class Link(Enum):
    """The owner of the interface that has the node's name."""

    NONE = ""
    OURS = "ours"
    FOREIGN = "not ours: it has another alias"


def connect(node: Node, pid: int) -> None:
    """Make the veth pair from the host, for the network namespace of process `pid`. Raises CommandFailed."""
    _ip(
        f"link add {node.interface} type veth peer name {INSIDE_INTERFACE} netns {pid}",
        f"link set {node.interface} alias {node.alias}",
        f"addr add {node.host_address}/{node.link.prefixlen} dev {node.interface}",
        f"link set {node.interface} up",
    )


def configure(node: Node) -> None:
    """Configure the network inside the node. Without a default route, calls outside fail at once."""
    _ip(
        "link set lo up",
        f"addr add {node.address}/{node.link.prefixlen} dev {INSIDE_INTERFACE}",
        f"link set {INSIDE_INTERFACE} up",
        # A packet needs a route before the Service address is translated, else the node's own calls fail.
        f"route add {node.services} dev {INSIDE_INTERFACE} src {node.address}",
    )


def find(place: Place) -> Link:
    listed = process.run(["ip", "-json", "-details", "link"], seconds=10).stdout
    return judge(json.loads(listed or "[]"), place)


def judge(rows: list[dict[str, object]], place: Place) -> Link:
    """Return the owner from the output of `ip -json link`. Another program may use our interface name."""
    named = [row for row in rows if row.get("ifname") == place.interface]
    if not named:
        return Link.NONE
    return Link.OURS if named[0].get("ifalias") == place.alias else Link.FOREIGN


def remove(place: Place) -> None:
    """Delete our interface, and wait until it is gone. Normally it ends with the node's last process."""
    if find(place) is not Link.OURS:
        return
    process.run(["ip", "link", "delete", place.interface], ok=(0, 1), seconds=10)
    wait_until(
        f"interface {place.interface} gone",
        lambda: Pending("it still exists") if find(place) is Link.OURS else True,
        seconds=10,
        command=f"ip link show {place.interface}",
    )


def require_free_interface(place: Place) -> None:
    """Raise StepError if another program's interface has the node's interface name."""
    if find(place) is Link.FOREIGN:
        raise StepError(
            f"an interface named {place.interface} exists, and mlops-platform did not make it",
            why="the node needs one of that name",
            hint="rename or delete it",
            command=f"ip -details link show {place.interface}",
        )


def _ip(*lines: str) -> None:
    process.run(["ip", "-batch", "-"], stdin="\n".join(lines) + "\n", seconds=20, what="ip -batch")
