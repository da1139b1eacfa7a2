"""Owns the nft table: pure text made of pods, namespaces and policies, replaced as one transaction.

Hooked behind the translation of service addresses, so rules see the pod and the port in the end
(docs/host-node.md, "Network policies").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from mlops_platform.clusters.host.firewall.model import Labels, Peer, Pod, Policy, Port, Rule, Selector

TABLE = "policies"
# Interfaces of the node that no pod is behind.
_NOT_PODS = '{ "lo", "eth0" }'
_ADDRESS, _PAIR, _ENDPOINT = "ipv4_addr", "ipv4_addr . ipv4_addr", "ipv4_addr . inet_proto . inet_service"
_MOST_COMMENT = 120  # nft takes 128


@dataclass(frozen=True)
class Snapshot:
    """All that the table depends on. `addresses`: uid -> address, of the pods that have one."""

    pods: Sequence[Pod]
    addresses: Mapping[str, IPv4Address]
    namespaces: Mapping[str, Labels]
    policies: Sequence[Policy]


@dataclass(frozen=True)
class _Placed:
    """A pod with its address. Written and sorted often, which IPv4Address is slow at."""

    number: int
    text: str
    pod: Pod


def _by_number(placed: _Placed) -> int:
    return placed.number


@dataclass
class _Table:
    """Collects sets and chains; the same elements are one set."""

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
        + _REFUSE
        + _TO_POD
        + "".join(table.chains)
        + _hooks(str(pods), known, itself)
        + "}\n"
    )


class _World:
    """Answers which pods a peer means."""

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
        # A namespace that is not known yet is none that a selector chooses: nothing is known of it.
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
    """Address of each pod that a policy isolates -> the chain of all policies that select it."""
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
        # Nothing in it but names of Kubernetes objects, which have no quotes.
        comment = f'comment "{policy.namespace}/{policy.name}'[:_MOST_COMMENT] + '"'
        jump = f"jump {table.chain(f'{way}_policy{number}', *lines)} {comment}"
        for placed in selected:
            chains_of.setdefault(placed.text, []).append(jump)
    groups = {
        jumps: f"{way}_group{n}" for n, jumps in enumerate(dict.fromkeys(map(tuple, chains_of.values())))
    }
    for jumps, name in groups.items():
        table.chain(name, *jumps, "goto refuse")
    return {address: groups[tuple(jumps)] for address, jumps in chains_of.items()}


def _matches(
    table: _Table, world: _World, policy: Policy, rule: Rule, field_: str, selected: list[_Placed]
) -> list[str]:
    """Every combination of a peer and a port of a rule, as nft text that ends with a blank."""
    found = []
    for peer, others in _peers(table, world, policy, rule, field_):
        # A named port is one of the pod that is called: who is selected, or whom the peer means.
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


# The kernel sends few refusals by ICMP (icmp_ratelimit), so the rest times out; resets it sends always.
_REFUSE = """\
  chain refuse {
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
    """Where packets come in. What the node itself sends (probes, the API server) passes neither hook."""
    return f"""\
  chain from_pod {{
    meta nfproto ipv6 counter drop comment "version 6 has no policies here"
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
