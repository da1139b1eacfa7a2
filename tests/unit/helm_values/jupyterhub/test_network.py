"""Connections to notebooks, the hub and the proxy, in the policies of both sides."""

from __future__ import annotations

from typing import Any

from mlops_platform.base.labels import PROJECT_LABEL
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.steps.network.policies import Addresses, read_base, render, render_project

from tests import ROOT

CATALOG = read_catalog(Paths.default().assets / "helm-values")
HUB, PROXY, ROUTES, NOTEBOOK = 8081, 8000, 8001, 8888
PROJECTS = f"pods with {PROJECT_LABEL}"
BASE = read_base(ROOT / "policies")


def incoming(policies: Any) -> dict[int, set[str]]:
    """The namespaces of the peers that each port admits."""
    found: dict[int, set[str]] = {}
    for rule in (rule for policy in policies for rule in policy["spec"]["ingress"]):
        for port in rule.get("ports", [{"port": 0}]):
            found.setdefault(port["port"], set()).update(peer(each) for each in rule["from"])
    return found


def peer(each: dict[str, Any]) -> str:
    selector = each.get("namespaceSelector")
    if selector is None:
        return "its own pods"
    names = selector.get("matchLabels", {}).values()
    return next(iter(names), f"pods with {selector.get('matchExpressions', [{}])[0].get('key')}")


def test_only_projects_and_own_pods_reach_the_hub_and_only_own_pods_the_routes() -> None:
    component = CATALOG["jupyterhub"]
    found = incoming(render(CATALOG, component, CATALOG.entries, Addresses(), BASE))
    assert found[HUB] == {"jupyterhub", PROJECTS}
    assert found[ROUTES] == {"jupyterhub"}
    assert found[PROXY] == {"jupyterhub", CATALOG["gateway"].namespace}
    assert set(found) == {HUB, ROUTES, PROXY}


def test_only_the_proxy_and_pods_of_the_project_reach_a_notebook() -> None:
    policies = render_project(CATALOG, "churn", ["jupyterhub"], BASE, {PROJECT_LABEL: "churn"})
    assert incoming(policies) == {0: {"its own pods"}, NOTEBOOK: {"jupyterhub"}}
    (notebooks,) = [each for each in policies if each["metadata"]["name"] == "from-jupyterhub"]
    labels = {"component": "singleuser-server"}  # KubeSpawner sets it
    assert notebooks["spec"]["podSelector"] == {"matchLabels": labels}


def test_projects_reach_the_hub_and_neither_proxy_nor_routes() -> None:
    assert CATALOG.project_ports(["jupyterhub"]) == {"jupyterhub": [HUB]}
