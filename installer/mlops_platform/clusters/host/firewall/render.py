"""The nft table as text, a pure function of pods, namespaces and policies; one transaction replaces it.

Its hooks run after the translation of Service addresses, so rules see the pod's own address and port
(docs/host-node.md, "Network policies").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from mlops_platform.clusters.host.firewall.model import Labels, Peer, Pod, Policy, Port, Rule, Selector

TABLE = "policies"
# Interfaces of the node that lead to no pod.
_NOT_PODS = '{ "lo", "eth0" }'
_ADDRESS, _PAIR, _ENDPOINT = "ipv4_addr", "ipv4_addr . ipv4_addr", "ipv4_addr . inet_proto . inet_service"
_MOST_COMMENT = 120  # nft takes 128


@dataclass(frozen=True)
class Snapshot:
    """The input of the table. `addresses`: uid -> address, of the pods that have one."""

    pods: Sequence[Pod]
    addresses: Mapping[str, IPv4Address]
    namespaces: Mapping[str, Labels]
    policies: Sequence[Policy]


@dataclass(frozen=True)
class _Placed:
    """A pod with its address as number and text: IPv4Address is slow to sort and to print."""

    number: int
    text: str
    pod: Pod


def _by_number(placed: _Placed) -> int:
    return placed.number


@dataclass
class _Table:
    """Collector of sets and chains; equal elements share one set."""

    sets: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    chains: list[str] = field(default_factory=list)

    def set(self, kind: str, elements: Iterable[str]) -> str:
        key = kind, tuple(dict.fromkeys(elements))
        return "@" + self.sets.setdefault(key, f"s{len(self.sets)}")

    def chain(self, name: str, *lines: str) -> str:
        body = "".join(f"    {line}\n" for line in lines)
        self.chains.append(f"  chain {name} {{\n{body}  }}\n")
        return name


def render(snapshot: Snapshot, pods: IPv4Network) -> str:
    """Return the transaction that replaces the whole table. `pods`: the range of all pods of the node."""
    world = _World(snapshot)
    table = _Table()
    ingress = _direction(table, world, "in", "saddr", "accept")
    egress = _direction(table, world, "out", "daddr", "goto to_pod")
    known = table.set(_ADDRESS, (placed.text for placed in world.placed))
    itself = table.set(_PAIR, (f"{placed.text} . {placed.text}" for placed in world.placed))
    sets = "".join(_set(name, kind, elements) for (kind, elements), name in table.sets.items())
    return (
        f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{sets}"
        + _map("of_source", egress)
        + _map("of_destination", ingress)
        + _DENY
        + _TO_POD
        + "".join(table.chains)
        + _hooks(str(pods), known, itself)
        + "}\n"
    )


class _World:
    """The pods with their addresses, found by the selectors of policies and peers."""

    def __init__(self, snapshot: Snapshot) -> None:
        have = ((snapshot.addresses.get(pod.uid), pod) for pod in snapshot.pods)
        self.placed = sorted(
            (_Placed(int(address), str(address), pod) for address, pod in have if address), key=_by_number
        )
        self.policies = sorted(snapshot.policies, key=lambda p: (p.namespace, p.name))
        self._namespaces = snapshot.namespaces
        self._by_namespace: dict[str, list[_Placed]] = {}
        for placed in self.placed:
            self._by_namespace.setdefault(placed.pod.namespace, []).append(placed)

    def selected(self, policy: Policy) -> list[_Placed]:
        return self._chosen(policy.pods, policy.namespace)

    def meant(self, peer: Peer, own: str) -> list[_Placed]:
        # A namespace that no watch has reported yet matches no selector: its labels are unknown.
        spaces = (
            [own]
            if peer.namespaces is None
            else [name for name, labels in self._namespaces.items() if peer.namespaces.matches(labels)]
        )
        return [placed for space in spaces for placed in self._chosen(peer.pods, space)]

    def _chosen(self, selector: Selector, namespace: str) -> list[_Placed]:
        pods = self._by_namespace.get(namespace, [])
        return [placed for placed in pods if selector.matches(placed.pod.labels)]


def _direction(table: _Table, world: _World, way: str, field_: str, verdict: str) -> dict[str, str]:
    """Map the address of each pod that a policy isolates to a chain of all policies that select the pod."""
    chains_of: dict[str, list[str]] = {}
    for number, policy in enumerate(world.policies):
        rules = policy.ingress if way == "in" else policy.egress
        selected = [] if rules is None else world.selected(policy)
        if not selected:
            continue
        lines = [
            f"{match}counter {verdict}"
            for rule in rules or ()
            for match in _matches(table, world, policy, rule, field_, selected)
        ]
        # Names of Kubernetes objects have no quotes.
        comment = f'comment "{policy.namespace}/{policy.name}'[:_MOST_COMMENT] + '"'
        jump = f"jump {table.chain(f'{way}_policy{number}', *lines)} {comment}"
        for placed in selected:
            chains_of.setdefault(placed.text, []).append(jump)
    groups = {
        jumps: f"{way}_group{n}" for n, jumps in enumerate(dict.fromkeys(map(tuple, chains_of.values())))
    }
    for jumps, name in groups.items():
        table.chain(name, *jumps, "goto deny")
    return {address: groups[tuple(jumps)] for address, jumps in chains_of.items()}


def _matches(
    table: _Table, world: _World, policy: Policy, rule: Rule, field_: str, selected: list[_Placed]
) -> list[str]:
    """Return every combination of a peer and a port of the rule, as nft text that ends with a blank."""
    found = []
    for peer, others in _peers(table, world, policy, rule, field_):
        # A named port belongs to the receiving pod: the selected one, or the one that the peer names.
        named = selected if field_ == "saddr" else others
        found += [peer + port for port in _ports(table, rule.ports, named)]
    return found


def _peers(
    table: _Table, world: _World, policy: Policy, rule: Rule, field_: str
) -> list[tuple[str, list[_Placed]]]:
    if rule.peers is None:
        return [("", world.placed)]
    found = []
    pods: list[_Placed] = []
    for peer in rule.peers:
        if peer.block is None:
            pods += world.meant(peer, policy.namespace)
            continue
        but = "".join(f"ip {field_} != {each} " for each in peer.excepted)
        inside = [placed for placed in world.placed if _inside(IPv4Address(placed.number), peer)]
        found.append((f"ip {field_} {peer.block} {but}", inside))
    if pods:
        pods.sort(key=_by_number)
        found.append((f"ip {field_} {table.set(_ADDRESS, (placed.text for placed in pods))} ", pods))
    return found


def _inside(address: IPv4Address, peer: Peer) -> bool:
    assert peer.block is not None
    return address in peer.block and not any(address in each for each in peer.excepted)


def _ports(table: _Table, ports: tuple[Port, ...] | None, named: list[_Placed]) -> list[str]:
    if ports is None:
        return [""]
    found = []
    for port in ports:
        if port.name:
            key = port.name, port.protocol
            ends = [f"{p.text} . {port.protocol} . {p.pod.ports[key]}" for p in named if key in p.pod.ports]
            if ends:
                found.append(f"ip daddr . meta l4proto . th dport {table.set(_ENDPOINT, ends)} ")
        elif port.first is None:
            found.append(f"meta l4proto {port.protocol} ")
        else:
            to = f"-{port.last}" if port.last != port.first else ""
            found.append(f"{port.protocol} dport {port.first}{to} ")
    return found


def _set(name: str, kind: str, elements: tuple[str, ...]) -> str:
    have = f" elements = {{ {', '.join(elements)} }};" if elements else ""
    return f"  set {name} {{ type {kind};{have} }}\n"


def _map(name: str, chains: Mapping[str, str]) -> str:
    elements = ", ".join(f"{address} : goto {chain}" for address, chain in chains.items())
    have = f" elements = {{ {elements} }};" if elements else ""
    return f"  map {name} {{ type ipv4_addr : verdict;{have} }}\n"


# The kernel limits ICMP rejects (icmp_ratelimit), and the rest times out; it does not limit TCP resets.
_DENY = """\
  chain deny {
    meta l4proto tcp counter reject with tcp reset
    counter reject with icmpx admin-prohibited
  }
"""
_TO_POD = """\
  chain to_pod {
    ip daddr vmap @of_destination
    accept
  }
"""


def _hooks(pods: str, known: str, itself: str) -> str:
    """Return the base chains. Packets that the node sends (probes, the API server) pass neither hook."""
    return f"""\
  chain from_pod {{
    meta nfproto ipv6 counter drop comment "no policies for IPv6"
    fib saddr . iif oif missing counter drop comment "not the sender's address"
    jump filter
  }}
  chain filter {{
    ct state established,related accept
    ip saddr {pods} ip saddr != {known} counter drop comment "unknown sender"
    ip daddr {pods} ip daddr != {known} counter drop comment "unknown pod"
    ip saddr . ip daddr {itself} accept
    ip saddr vmap @of_source
    goto to_pod
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname != {_NOT_PODS} goto from_pod
    ip version 4 goto filter
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname != {_NOT_PODS} goto from_pod
  }}
"""
