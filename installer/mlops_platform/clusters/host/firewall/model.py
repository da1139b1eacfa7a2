"""Owns what the firewall reads of pods, namespaces and policies: typed values, all else forgotten.

Two objects that differ in nothing the firewall uses are equal, so most updates of a pod change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

Object = dict[str, Any]
Labels = Mapping[str, str]
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}
_ENDED = ("Succeeded", "Failed")


class Unreadable(Exception):
    """A policy that asks for something this firewall does not know: nothing may be guessed then."""


@dataclass(frozen=True)
class Requirement:
    """One line of matchExpressions."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":  # also where there is no such label
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        raise Unreadable(f"operator {self.operator}")


@dataclass(frozen=True)
class Selector:
    """A label selector; one without requirements matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, found: Object) -> Selector:
        labels = [Requirement(k, "In", frozenset({v})) for k, v in (found.get("matchLabels") or {}).items()]
        expressions = [
            Requirement(e["key"], e["operator"], frozenset(e.get("values") or ()))
            for e in found.get("matchExpressions") or ()
        ]
        return cls((*labels, *expressions))

    def matches(self, labels: Labels) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)


@dataclass(frozen=True)
class Pod:
    """One pod of this node that has a network of its own. `ports`: (name, protocol) -> number."""

    uid: str
    namespace: str
    name: str
    labels: Labels
    ports: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, found: Object) -> Pod | None:
        """None: it uses the host's network, or has ended and given its address back."""
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
    """Who is at the other end: a block of addresses, or pods. `namespaces` None: the policy's own only."""

    block: IPv4Network | None = None
    excepted: tuple[IPv4Network, ...] = ()
    namespaces: Selector | None = None
    pods: Selector = Selector()

    @classmethod
    def of(cls, found: Object) -> Peer | None:
        """None: a block of version 6, of which the node has no addresses."""
        block = found.get("ipBlock")
        if block:
            if ":" in block["cidr"]:
                return None
            excepted = tuple(_network(cidr) for cidr in block.get("except") or ())
            return cls(_network(block["cidr"]), excepted)
        spaces, pods = found.get("namespaceSelector"), found.get("podSelector")
        return cls(namespaces=None if spaces is None else Selector.of(spaces), pods=Selector.of(pods or {}))


@dataclass(frozen=True)
class Port:
    """`first` None: every port of the protocol; `name`: what the pod calls it."""

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
    """None: everybody, every port. An empty tuple of peers is nobody that has an address here."""

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
    """None as a direction: the policy says nothing about it."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None

    @classmethod
    def of(cls, found: Object) -> Policy:
        """Raises Unreadable for what this firewall does not know."""
        meta, spec = found["metadata"], found["spec"]
        ingress, egress = spec.get("ingress") or (), spec.get("egress") or ()
        kinds = spec.get("policyTypes") or ("Ingress", *(("Egress",) if egress else ()))
        try:
            return cls(
                meta["namespace"],
                meta["name"],
                Selector.of(spec.get("podSelector") or {}),
                tuple(Rule.of(rule, "from") for rule in ingress) if "Ingress" in kinds else None,
                tuple(Rule.of(rule, "to") for rule in egress) if "Egress" in kinds else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unreadable(f"policy {meta['namespace']}/{meta['name']}: {error!r}") from error


def _protocol(found: Object) -> str:
    return PROTOCOLS[found.get("protocol") or "TCP"]


def _network(cidr: str) -> IPv4Network:
    return IPv4Network(cidr, strict=False)
