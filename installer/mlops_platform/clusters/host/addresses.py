"""The choice of a node's address range: a /16 that this machine neither uses nor routes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from mlops_platform.adapters import process
from mlops_platform.base.errors import PreflightError, StepError
from mlops_platform.clusters.host.layout import NODE_FILE, Node

# 32 ranges that common networks seldom use, then 32 of the shared address space (RFC 6598) for
# machines on which a company network routes all of 10.0.0.0/8.
POOLS = (IPv4Network("10.64.0.0/11"), IPv4Network("100.96.0.0/11"))
# A route this wide is a default route in parts; our /30 is more specific.
_NARROW = 16


def candidates(first: int = 0) -> tuple[IPv4Network, ...]:
    found: list[IPv4Network] = []
    for pool in POOLS:
        subnets = list(pool.subnets(new_prefix=16))
        at = first % len(subnets)
        found += subnets[at:] + subnets[:at]
    return tuple(found)


def pick(taken: Iterable[IPv4Network], *, first: int = 0) -> IPv4Network:
    """Return a range that overlaps none of the taken ones, starting at candidate `first` of each pool.

    Raises PreflightError when there is none.
    """
    used = tuple(taken)
    for candidate in candidates(first):
        if not any(candidate.overlaps(each) for each in used):
            return candidate
    pools = " and ".join(str(pool) for pool in POOLS)
    raise PreflightError(
        "no free address range for the node",
        why=f"every /16 of {pools} is routed or used here: {', '.join(map(str, used))}",
        hint="take down an unused environment, or free one of these ranges",
        command="ip -4 route show table all",
    )


def routed() -> tuple[IPv4Network, ...]:
    """The networks that this machine routes, without default routes, also those split in halves."""
    rows = _ip("route", "show", "table", "all")
    networks = (IPv4Network(row["dst"], strict=False) for row in rows if row["dst"] != "default")
    return tuple(network for network in networks if network.prefixlen > 1)


def claimed_beside(folder: Path) -> tuple[IPv4Network, ...]:
    """The ranges of this home's other environments, also of stopped ones, which will use theirs again."""
    own = folder / NODE_FILE
    found = []
    for file in sorted(folder.parent.parent.glob(f"*/{folder.name}/{NODE_FILE}")):
        if file != own:
            try:
                found.append(Node.read(file).range)
            except StepError:  # a broken file of another environment is not reported here
                continue
    return tuple(found)


def conflict(node: Node) -> str:
    """Return '' when the node's link is free on this machine, otherwise what uses it."""
    for row in _ip("addr"):
        for address in row.get("addr_info", ()):
            held = IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if row["ifname"] != node.interface and held.overlaps(node.link):
                return f"{address['local']}/{address['prefixlen']} on interface {row['ifname']}"
    for row in _ip("route"):
        if row["dst"] == "default" or row.get("dev") == node.interface:
            continue
        network = IPv4Network(row["dst"], strict=False)
        if network.prefixlen >= _NARROW and network.overlaps(node.link):
            return f"route {network} over {row.get('dev', row.get('gateway', '?'))}"
    return ""


def _ip(*what: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        process.run(["ip", "-json", "-4", *what], seconds=10).stdout or "[]"
    )
    return rows
