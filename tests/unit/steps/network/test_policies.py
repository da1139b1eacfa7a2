"""The firewall's flows, for a catalogue with every kind of edge and for the shipped catalogue."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from mlops_platform.adapters.kube.endpoints import Address
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.catalogue import Flow
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import Network
from mlops_platform.console.firewall import matrix
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.network.policies import (
    KUBELET_PORT,
    Addresses,
    addresses_of,
    read_base,
    render,
)

from tests import ROOT

CATALOG = read_catalog(ROOT / "tests/cases/policies")
SHIPPED = read_catalog(Paths.default().assets / "helm-values")
ADDRESSES = Addresses(
    (Address("203.0.113.5", 6443), Address("10.0.0.1", 443)), ("10.1.128.0/17",), nodes=("10.1.0.0/19",)
)
BASE = read_base(ROOT / "policies")
NAME = "kubernetes.io/metadata.name"
Manifest = dict[str, Any]


def policies(name: str, catalog: Any = CATALOG) -> tuple[Manifest, ...]:
    return render(catalog, catalog[name], catalog.entries, ADDRESSES, BASE)


@pytest.mark.parametrize("name", CATALOG.entries)
def test_policies_of_namespace_match_golden_file(name: str, golden: Callable[[Path, str], None]) -> None:
    seen = yaml.safe_dump_all(policies(name), sort_keys=False, width=110)
    golden(ROOT / f"tests/golden/policies/{name}.yaml", seen)


def allowed(catalog: Any) -> tuple[set[Flow], set[Flow]]:
    """Flows in the manifests: those that egress allows, and those that ingress allows."""
    names = {catalog[name].namespace: name for name in catalog.entries}
    out: set[Flow] = set()
    into: set[Flow] = set()
    for name in catalog.entries:
        for policy in policies(name, catalog):
            for direction, key, found in (("egress", "to", out), ("ingress", "from", into)):
                for rule in policy["spec"].get(direction, []):
                    for peer in rule[key]:
                        other = peer.get("namespaceSelector", {}).get("matchLabels", {}).values()
                        for each in (names[o] for o in other if o in names):
                            pair = (name, each) if direction == "egress" else (each, name)
                            found |= {Flow(*pair, p["port"]) for p in rule["ports"]}
    return out, into


def test_outside_issuer_is_allowed_at_its_port_without_pods() -> None:
    name = next(n for n in SHIPPED.entries if SHIPPED[n].needs.client)
    inside = Addresses(pods=ADDRESSES.pods)
    outside = Addresses(pods=ADDRESSES.pods, issuers=(8443,))
    before, after = (
        render(SHIPPED, SHIPPED[name], SHIPPED.entries, each, BASE)[-1]["spec"]["egress"]
        for each in (inside, outside)
    )
    block = {"cidr": "0.0.0.0/0", "except": list(ADDRESSES.pods)}
    (more,) = [rule for rule in after if rule not in before]
    assert more == {"to": [{"ipBlock": block}], "ports": [{"protocol": "TCP", "port": 8443}]}


@pytest.mark.parametrize("catalog", [CATALOG, SHIPPED], ids=["case", "shipped"])
def test_both_sides_allow_exactly_the_flows(catalog: Any) -> None:
    flows = catalog.flows(catalog.entries)
    served = {(name, s.port): s for name in catalog.entries for s in catalog[name].serves.values()}
    out, into = allowed(catalog)
    assert into == {Flow(f.source, f.target, served[f.target, f.port].container) for f in flows}
    assert out == into | flows


CALLED = {
    "namespaceSelector": {"matchExpressions": [{"key": "mlops-platform/project", "operator": "Exists"}]},
    "podSelector": {"matchLabels": {"component": "predictor"}},
}


def test_only_the_component_that_calls_pods_of_projects_reaches_them() -> None:
    reaching = {
        name: [p["port"] for p in rule["ports"]]
        for name in CATALOG.entries
        for rule in policies(name)[-1]["spec"]["egress"]
        if CALLED in rule["to"]
    }
    assert reaching == {"front": [80, 9000]}


@pytest.mark.parametrize("name", CATALOG.entries)
def test_only_dns_and_called_pods_are_selected_by_pod_labels(name: str) -> None:
    """A pod can have any labels; the name of a namespace is unique. Labels only narrow a call to projects."""
    for policy in policies(name):
        assert policy["spec"]["podSelector"] == {}
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            peers = rule.get("from") or rule.get("to")
            assert peers and rule["ports"], "a rule without peers or ports allows all"
            labelled = [p for p in peers if "podSelector" in p and p != CALLED]
            assert all(p["podSelector"]["matchLabels"] == {"k8s-app": "kube-dns"} for p in labelled)


def test_traffic_from_outside_excludes_pods() -> None:
    (rule,) = [
        rule["from"][0]["ipBlock"]
        for policy in policies("front")
        for rule in policy["spec"].get("ingress", [])
        if "ipBlock" in rule["from"][0]
    ]
    assert ip_address("198.51.100.7") in ip_network(rule["cidr"])
    assert [ip_address("10.1.200.3") in ip_network(without) for without in rule["except"]] == [True]


def test_egress_names_both_numbers_of_a_port_and_ingress_the_containers() -> None:
    """On the way out, plugins see the port of the Service or of the container."""
    spec = policies("operator")[-1]["spec"]
    own = [
        [p["port"] for p in rule["ports"]]
        for direction, key in (("egress", "to"), ("ingress", "from"))
        for rule in spec[direction]
        if rule[key][0].get("namespaceSelector", {}).get("matchLabels", {}).get(NAME) == "operator"
    ]
    assert own == [[443, 9443], [9443]]


def test_only_a_component_with_kubelets_reaches_nodes() -> None:
    reaching = [
        name
        for name in CATALOG.entries
        for rule in policies(name)[-1]["spec"]["egress"]
        if {"protocol": "TCP", "port": KUBELET_PORT} in rule["ports"]
    ]
    assert reaching == ["operator"]
    context = SimpleNamespace(
        cluster=SimpleNamespace(network=Network),
        clients=SimpleNamespace(node_addresses=("10.1.0.2", "10.1.0.3"), api_addresses=()),
    )
    resolved = [SimpleNamespace(component=CATALOG[name], outside={}) for name in ("operator", "idle")]
    found = [addresses_of(cast(Context, context), cast(ResolvedComponent, each)).nodes for each in resolved]
    assert found == [("10.1.0.2/32", "10.1.0.3/32"), ()]


def test_every_namespace_denies_all_by_default() -> None:
    first = policies("idle")[0]["spec"]
    assert first == {"ingress": [], "egress": [], "podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_matrix_of_flows_matches_golden_file(golden: Callable[[Path, str], None]) -> None:
    components = [CATALOG[name] for name in CATALOG.entries]
    flows = sorted(CATALOG.flows(CATALOG.entries))
    seen = matrix("staging", components, flows, {"page": ["sql"]}, "the API server's address: none yet")
    golden(ROOT / "tests/golden/console/screen-policies.txt", f"{seen}\n")


def test_matrix_of_twenty_components_fits_80_columns() -> None:
    shipped = SHIPPED[next(iter(SHIPPED.entries))]
    many = [shipped.model_copy(update={"name": f"component-{n:02}"}) for n in range(20)]
    head = matrix("staging", many, [], {}, "").split("to  ")[0]
    assert max(map(len, head.splitlines())) <= 80
