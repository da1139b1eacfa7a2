"""The firewall's flows, for a catalogue with every kind of edge and for the shipped catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube.endpoints import Address
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.catalogue import Flow
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.console.firewall import matrix
from mlops_platform.steps.network.policies import Addresses, read_base, render

from tests import ROOT

CATALOG = read_catalog(ROOT / "tests/cases/policies")
SHIPPED = read_catalog(Paths.default().assets / "helm-values")
ADDRESSES = Addresses((Address("203.0.113.5", 6443), Address("10.0.0.1", 443)), ("10.1.128.0/17",))
BASE = read_base(ROOT / "policies")
Manifest = dict[str, Any]


def policies(name: str, catalog: Any = CATALOG) -> tuple[Manifest, ...]:
    return render(catalog, catalog[name], catalog.entries, ADDRESSES, BASE)


@pytest.mark.parametrize("name", CATALOG.entries)
def test_policies_of_namespace_match_golden_file(name: str, golden: Callable[[Path, str], None]) -> None:
    seen = yaml.safe_dump_all(policies(name), sort_keys=False, width=110)
    golden(ROOT / f"tests/golden/policies/{name}.yaml", seen)


def allowed(catalog: Any) -> Iterator[Flow]:
    """Flows in the manifests: allowed by the egress of one namespace *and* the ingress of the other."""
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
    yield from out & into
    assert out == into, "a flow that only one side allows"


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
    assert set(allowed(catalog)) == catalog.flows(catalog.entries)


@pytest.mark.parametrize("name", CATALOG.entries)
def test_only_dns_is_selected_by_pod_labels(name: str) -> None:
    """A pod can have any labels; the name of a namespace is unique."""
    for policy in policies(name):
        assert policy["spec"]["podSelector"] == {}
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            peers = rule.get("from") or rule.get("to")
            assert peers and rule["ports"], "a rule without peers or ports allows all"
            labelled = [p for p in peers if "podSelector" in p]
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
