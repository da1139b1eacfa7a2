"""The parts of pods, namespaces and policies that the firewall uses, as typed values.

Two objects that differ in nothing the firewall uses are equal, so most updates of a pod change nothing.
Every object that the API server admits must be readable: one user's policy must not stop other users' pods.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any

Object = dict[str, Any]
Labels = Mapping[str, str]
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}
_ENDED = ("Succeeded", "Failed")
_LEADING_ZEROS = re.compile(r"(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])")
log = logging.getLogger("firewall")


# The test of a label's value by each operator; the value is None if the object has no such label.
_OPERATORS: Mapping[str, Callable[[str | None, frozenset[str]], bool]] = {
    "In": lambda value, values: value in values,
    "NotIn": lambda value, values: value not in values,
    "Exists": lambda value, _: value is not None,
    "DoesNotExist": lambda value, _: value is None,
}


@dataclass(frozen=True)
class Requirement:
    """One entry of matchExpressions."""

    key: str
    test: Callable[[str | None, frozenset[str]], bool]
    values: frozenset[str]

    def holds(self, labels: Labels) -> bool:
        return self.test(labels.get(self.key), self.values)


@dataclass(frozen=True)
class Selector:
    """A label selector; without requirements it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, found: Object) -> Selector:
        equal = (found.get("matchLabels") or {}).items()
        labels = [Requirement(key, _OPERATORS["In"], frozenset({value})) for key, value in equal]
        expressions = [
            Requirement(e["key"], _OPERATORS[e["operator"]], frozenset(e.get("values") or ()))
            for e in found.get("matchExpressions") or ()
        ]
        return cls((*labels, *expressions))

    def matches(self, labels: Labels) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)


@dataclass(frozen=True)
class Pod:
    """One pod of this node with its own network. `ports`: (name, protocol) -> number."""

    uid: str
    namespace: str
    name: str
    labels: Labels
    ports: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, found: Object) -> Pod | None:
        """Read a pod; None if it uses the host's network, or has ended and its address is free again."""
        meta, spec = found["metadata"], found["spec"]
        if spec.get("hostNetwork") or found.get("status", {}).get("phase") in _ENDED:
            return None
        lasting = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
        ports = {
            (port["name"], _protocol(port)): port["containerPort"]
            for container in (*lasting, *spec["containers"])
            for port in container.get("ports") or ()
            if port.get("name")
        }
        return cls(meta["uid"], meta["namespace"], meta["name"], meta.get("labels") or {}, ports)


@dataclass(frozen=True)
class Namespace:
    name: str
    labels: Labels

    @classmethod
    def of(cls, found: Object) -> Namespace:
        return cls(found["metadata"]["name"], found["metadata"].get("labels") or {})


@dataclass(frozen=True)
class Peer:
    """The other end: a block of addresses, or pods. `namespaces` None: the policy's own namespace."""

    block: IPv4Network | None = None
    excepted: tuple[IPv4Network, ...] = ()
    namespaces: Selector | None = None
    pods: Selector = Selector()

    @classmethod
    def of(cls, found: Object) -> Peer | None:
        """Read a peer; None for an IPv6 block, because the node has no IPv6 addresses."""
        block = found.get("ipBlock")
        if block is not None:
            network = _network(block["cidr"])
            excepted = (_network(cidr) for cidr in block.get("except") or ())
            return cls(network, tuple(each for each in excepted if each)) if network else None
        spaces, pods = found.get("namespaceSelector"), found.get("podSelector")
        return cls(namespaces=None if spaces is None else Selector.of(spaces), pods=Selector.of(pods or {}))


@dataclass(frozen=True)
class Port:
    """Ports of a rule. `first` None: every port of the protocol; `name`: a named port of the pod."""

    protocol: str
    first: int | None = None
    last: int | None = None
    name: str = ""

    @classmethod
    def of(cls, found: Object) -> Port:
        port, protocol = found.get("port"), _protocol(found)
        if isinstance(port, str):
            return cls(protocol, name=port)
        return cls(protocol, port, found.get("endPort") or port)


@dataclass(frozen=True)
class Rule:
    """One rule. None: every peer, every port. An empty tuple of peers: no peer that has an address here."""

    peers: tuple[Peer, ...] | None
    ports: tuple[Port, ...] | None

    @classmethod
    def of(cls, found: Object, peers: str) -> Rule:
        given, ports = found.get(peers), found.get("ports")
        return cls(
            tuple(peer for each in given if (peer := Peer.of(each))) if given else None,
            tuple(Port.of(port) for port in ports) if ports else None,
        )


@dataclass(frozen=True)
class Policy:
    """One policy. None as a direction: the policy does not isolate its pods in that direction."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None

    @classmethod
    def of(cls, found: Object) -> Policy:
        """Read a policy. One that cannot be read allows nothing to its own pods, and affects no others."""
        meta, spec = found["metadata"], found.get("spec") or {}
        kinds = spec.get("policyTypes") or ("Ingress", *(("Egress",) if spec.get("egress") else ()))
        pods, ingress, egress = Selector(), tuple[Rule, ...](), tuple[Rule, ...]()
        try:
            pods = Selector.of(spec.get("podSelector") or {})
            ingress, egress = (
                tuple(Rule.of(rule, peers) for rule in spec.get(way) or ())
                for way, peers in (("ingress", "from"), ("egress", "to"))
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.error(
                "policy %s/%s cannot be read, allows nothing: %r", meta["namespace"], meta["name"], error
            )
        return cls(
            meta["namespace"],
            meta["name"],
            pods,
            ingress if "Ingress" in kinds else None,
            egress if "Egress" in kinds else None,
        )


def _protocol(found: Object) -> str:
    return PROTOCOLS[found.get("protocol") or "TCP"]


def _network(cidr: str) -> IPv4Network | None:
    """Read a block as the API server does (k8s.io/utils/net.ParseCIDRSloppy); None for IPv6.

    Leading zeros are decimal, and an IPv4-mapped IPv6 block is the IPv4 block in it.
    """
    network = ip_network(_LEADING_ZEROS.sub("", cidr), strict=False)
    if isinstance(network, IPv4Network):
        return network
    mapped = network.network_address.ipv4_mapped
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped else None
