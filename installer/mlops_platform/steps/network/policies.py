"""The firewall: NetworkPolicies of a namespace, derived from the edges of the catalogue only.

A namespace has one component and is its identity: policies select peers by the namespace's name, which is
unique, and never by pod labels, which any pod can have. Namespaces of projects are selected by their label,
which only the installer can set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.endpoints import Address
from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import API_LABEL, OWNED, PROJECT_LABEL
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.documents import values_file
from mlops_platform.catalogue.served import Served
from mlops_platform.clusters.base import Network
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent

Manifest = dict[str, Any]
API, KIND = "networking.k8s.io/v1", "NetworkPolicy"
FLOWS = "flows"
KUBELET_PORT = 10250
_LABELS = {"app.kubernetes.io/managed-by": "mlops-platform", **OWNED}
_OURS = ",".join(f"{key}={value}" for key, value in _LABELS.items())
_NAMESPACE_NAME = "kubernetes.io/metadata.name"  # set by the API server itself
_EVERYWHERE = "0.0.0.0/0"
_PROJECTS: Manifest = {
    "namespaceSelector": {"matchExpressions": [{"key": PROJECT_LABEL, "operator": "Exists"}]}
}
EVERY_POD: Manifest = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@dataclass(frozen=True)
class Addresses:
    """Addresses that no selector matches. `api` is empty while there is no cluster, `pods` if the provider
    cannot know them; `issuers` are the ports of OIDC providers outside of the cluster, which have names and
    no fixed addresses; `given` are the addresses of managed services of the cloud; `nodes` are CIDRs."""

    api: tuple[Address, ...] = ()
    pods: tuple[str, ...] = ()
    issuers: tuple[int, ...] = ()
    given: tuple[tuple[str, int], ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outside:
    """Addresses that pods of projects need. `api` are those of the API server, for pods with the label:
    others, such as served models, do not reach it. `given` are those of managed services of the cloud."""

    api: tuple[Address, ...] = ()
    given: tuple[tuple[str, int], ...] = ()


NONE_OUTSIDE = Outside()


def policies_of(context: Context, resolved: ResolvedComponent) -> tuple[Manifest, ...]:
    """All policies of a component's namespace. Raises StepError if the address of the API server is needed
    and the cluster does not report it."""
    component, addresses = resolved.component, addresses_of(context, resolved)
    if component.kube_api and not addresses.api:
        raise StepError(
            f"{component.name}: the API server's address is not known",
            why="Service kubernetes in namespace default has no endpoints",
            command=context.clients.kube.kubectl("--namespace", "default", "get", "endpointslices"),
        )
    return render(context.catalog, component, context.environment.installed, addresses, base(context))


def addresses_of(context: Context, resolved: ResolvedComponent) -> Addresses:
    """The addresses for a component, read from the cluster once a run, only if the component needs them."""
    component = resolved.component
    api = context.clients.api_addresses if component.kube_api else ()
    issuers = context.environment.issuer_ports if component.needs.client else ()
    given = tuple(end for there in resolved.outside.values() for end in there.endpoints)
    network = context.cluster.network()
    nodes = _nodes(context, network) if component.kubelets else ()
    return Addresses(api, network.pods, issuers, given, nodes)


def _nodes(context: Context, network: Network) -> tuple[str, ...]:
    return network.nodes or tuple(f"{address}/32" for address in context.clients.node_addresses)


def base(context: Context) -> tuple[Manifest, ...]:
    """The policies of every namespace: the files in policies/."""
    return read_base(context.paths.assets / "policies")


@cache
def read_base(folder: Path) -> tuple[Manifest, ...]:
    return tuple(values_file(path) for path in sorted(folder.glob("*.yaml")))


def render(
    catalog: Catalog,
    component: Component,
    chosen: Iterable[str],
    addresses: Addresses,
    base: Sequence[Manifest],
) -> tuple[Manifest, ...]:
    """The manifests, complete and in a fixed order, to compare with those of the cluster."""
    flows = _flows(catalog, component, chosen, addresses)
    return placed((*base, flows), component.namespace)


def render_project(
    catalog: Catalog,
    namespace: str,
    chosen: Iterable[str],
    base: Sequence[Manifest],
    labels: Mapping[str, str],
    outside: Outside = NONE_OUTSIDE,
) -> tuple[Manifest, ...]:
    """The policies of a project's namespace: its own pods, and the ports that components open to projects.

    Pods of one training job connect to each other at random ports.
    """
    own: Manifest = {"podSelector": {}}
    ports = catalog.project_ports(chosen)
    served = _served(catalog)
    outgoing = [(t, n) for t, found in ports.items() for port in found for n in served[t, port].numbers]
    egress = [{"to": [own]}, *_between(catalog, outgoing, "to"), *_given(outside.given)]
    rules = {"ingress": [{"from": [own]}], "egress": egress}
    flows = {"metadata": {"name": FLOWS}, "spec": {**EVERY_POD, **rules}}
    return placed((*base, flows, *_callers(catalog, chosen), *_to_api(outside.api)), namespace, labels)


def _callers(catalog: Catalog, chosen: Iterable[str]) -> Iterator[Manifest]:
    """Policies that admit components to those pods of a project that they call."""
    for component, calls in catalog.callers_of_projects(chosen):
        rule = {"from": [namespace_peer(component.namespace)], "ports": _ports([calls.port])}
        spec = {
            "podSelector": {"matchLabels": dict(calls.labels)},
            "policyTypes": ["Ingress"],
            "ingress": [rule],
        }
        yield {"metadata": {"name": f"from-{component.name}"}, "spec": spec}


def _to_api(addresses: Sequence[Address]) -> Iterator[Manifest]:
    """The policy of the pods that may connect to the API server."""
    egress = [{"to": [_block(f"{each.ip}/32")], "ports": _ports([each.port])} for each in addresses]
    selected = {"podSelector": {"matchLabels": {API_LABEL: "true"}}, "policyTypes": ["Egress"]}
    if egress:
        yield {"metadata": {"name": "api-server"}, "spec": {**selected, "egress": egress}}


def placed(
    policies: Iterable[Manifest], namespace: str, labels: Mapping[str, str] = MappingProxyType({})
) -> tuple[Manifest, ...]:
    """The policies in a namespace, with our labels.

    Both directions are set: server-side apply does not change fields that a manifest omits.
    """
    return tuple(
        {
            "apiVersion": API,
            "kind": KIND,
            "metadata": {
                "name": each["metadata"]["name"],
                "namespace": namespace,
                "labels": {**_LABELS, **labels},
            },
            "spec": {"ingress": [], "egress": [], **each["spec"]},
        }
        for each in policies
    )


def _served(catalog: Catalog) -> Mapping[tuple[str, int], Served]:
    """All ports, by component and number."""
    return {(name, s.port): s for name in catalog.entries for s in catalog[name].serves.values()}


def _flows(catalog: Catalog, component: Component, chosen: Iterable[str], addresses: Addresses) -> Manifest:
    flows = sorted(catalog.flows(chosen))
    served = _served(catalog)
    incoming = [(f.source, served[f.target, f.port].container) for f in flows if f.target == component.name]
    outgoing = [
        (f.target, number)
        for f in flows
        if f.source == component.name
        for number in served[f.target, f.port].numbers
    ]
    ingress = _between(catalog, incoming, "from")
    egress = _between(catalog, outgoing, "to")
    if open_to_projects := {s.container for s in component.serves.values() if s.projects}:
        ingress.append({"from": [_PROJECTS], "ports": _ports(open_to_projects)})
    if component.projects and (calls := component.projects.calls):
        pods = {**_PROJECTS, "podSelector": {"matchLabels": dict(calls.labels)}}
        egress.append({"to": [pods], "ports": _ports(calls.numbers)})
    # Traffic from outside of the cluster and from the API server is from no pod: no selector matches it.
    load_balancers = {s.container for s in component.serves.values()} if component.ingress else set[int]()
    for ports in filter(None, (load_balancers, set(component.webhooks))):
        ingress.append({"from": [_outside(addresses)], "ports": _ports(ports)})
    if component.kube_api:
        egress += [{"to": [_block(f"{a.ip}/32")], "ports": _ports([a.port])} for a in addresses.api]
    if component.kubelets and addresses.nodes:
        egress.append({"to": [_block(cidr) for cidr in addresses.nodes], "ports": _ports([KUBELET_PORT])})
    egress += [{"to": [_block(e.cidr)], "ports": _ports([e.port])} for e in component.egress]
    egress += _given(addresses.given)
    if addresses.issuers:
        egress.append({"to": [_outside(addresses)], "ports": _ports(addresses.issuers)})
    return {"metadata": {"name": FLOWS}, "spec": {**EVERY_POD, "ingress": ingress, "egress": egress}}


def _between(catalog: Catalog, pairs: Iterable[tuple[str, int]], direction: str) -> list[Manifest]:
    """Rules for pairs; peers with the same ports share a rule, which keeps policies short and readable."""
    ports: dict[str, list[int]] = {}
    for peer, port in pairs:
        ports.setdefault(peer, []).append(port)
    peers: dict[tuple[int, ...], list[str]] = {}
    for peer, numbers in ports.items():
        peers.setdefault(tuple(sorted(set(numbers))), []).append(catalog[peer].namespace)
    return [
        {direction: [namespace_peer(name) for name in names], "ports": _ports(numbers)}
        for numbers, names in peers.items()
    ]


def namespace_peer(name: str) -> Manifest:
    """A peer that matches all pods of a namespace."""
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _given(given: Iterable[tuple[str, int]]) -> list[Manifest]:
    return [{"to": [_block(cidr)], "ports": _ports([port])} for cidr, port in given]


def _block(cidr: str, without: Sequence[str] = ()) -> Manifest:
    return {"ipBlock": {"cidr": cidr, **({"except": list(without)} if without else {})}}


def _outside(addresses: Addresses) -> Manifest:
    return _block(_EVERYWHERE, addresses.pods)


def _ports(numbers: Iterable[int]) -> list[Manifest]:
    return [{"protocol": "TCP", "port": number} for number in sorted(numbers)]


def unrestricted(namespace: str) -> tuple[Manifest, ...]:
    """A policy that allows all traffic, for network plugins that deny all to a pod without a policy."""
    spec = {**EVERY_POD, "ingress": [{}], "egress": [{}]}
    return placed([{"metadata": {"name": "unrestricted"}, "spec": spec}], namespace)


def difference(kube: Kube, namespace: str, wanted: Sequence[Manifest]) -> str:
    """'' if the namespace has exactly these policies, by content; else a short text of what to do.

    Only policies with our label are compared: a chart may have its own.
    """
    found = {p["metadata"]["name"]: content(p) for p in kube.list(API, KIND, namespace, labels=_OURS)}
    target = {p["metadata"]["name"]: content(p) for p in wanted}
    wrong = [name for name, content in target.items() if found.get(name) != content]
    extra = sorted(found.keys() - target.keys())
    parts = [f"apply network policies {', '.join(wrong)}"] if wrong else []
    parts += [f"remove network policies {', '.join(extra)}"] if extra else []
    return "; ".join(parts)


def enforce(kube: Kube, namespace: str, wanted: Sequence[Manifest]) -> None:
    """Apply the policies, then remove those of ours that are no longer wanted."""
    kube.apply(*wanted)
    names = {p["metadata"]["name"] for p in wanted}
    for policy in kube.list(API, KIND, namespace, labels=_OURS):
        if policy["metadata"]["name"] not in names:
            kube.delete(API, KIND, policy["metadata"]["name"], namespace)


def content(policy: Mapping[str, Any]) -> Manifest:
    """The policy without empty lists, which the API server does not store."""
    return {key: value for key, value in policy["spec"].items() if value != []}
