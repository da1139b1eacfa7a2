"""Network policies on a real API server: applied, compared, repaired."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.endpoints import Address
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.steps.network.policies import (
    API,
    KIND,
    Addresses,
    difference,
    enforce,
    placed,
    read_base,
    render,
)

from tests import ROOT

pytestmark = pytest.mark.integration

CATALOG = read_catalog(ROOT / "tests/cases/policies")
ADDRESSES = Addresses((Address("203.0.113.5", 6443),), ("10.1.128.0/17",))


@pytest.fixture(params=CATALOG.entries)
def wanted(request: pytest.FixtureRequest, namespace: str) -> tuple[dict[str, Any], ...]:
    """Policies of each component of the case, in the test's namespace."""
    base, component = read_base(ROOT / "policies"), CATALOG[request.param]
    return placed(render(CATALOG, component, CATALOG.entries, ADDRESSES, base), namespace)


def test_applied_policies_have_no_difference(
    kube: Kube, namespace: str, wanted: tuple[dict[str, Any], ...]
) -> None:
    assert difference(kube, namespace, wanted) == "apply network policies default-deny, dns, flows"
    enforce(kube, namespace, wanted)
    assert difference(kube, namespace, wanted) == ""


@pytest.fixture
def enforced(kube: Kube, namespace: str) -> tuple[dict[str, Any], ...]:
    base, component = read_base(ROOT / "policies"), CATALOG["page"]
    policies = placed(render(CATALOG, component, CATALOG.entries, ADDRESSES, base), namespace)
    enforce(kube, namespace, policies)
    return policies


OPEN: dict[str, Any] = {"ingress": [{}]}


@pytest.mark.parametrize("name", ["default-deny", "dns", "flows"])
@pytest.mark.parametrize("change", [OPEN, {"podSelector": {"matchLabels": {"a": "b"}}}, None], ids=str)
def test_changed_policy_is_detected_and_repaired(
    kube: Kube, namespace: str, enforced: tuple[dict[str, Any], ...], name: str, change: dict[str, Any] | None
) -> None:
    if change is None:
        kube.delete(API, KIND, name, namespace)
    else:
        kube.patch(API, KIND, name, namespace, body={"spec": change})
    assert difference(kube, namespace, enforced) == f"apply network policies {name}"
    enforce(kube, namespace, enforced)
    assert difference(kube, namespace, enforced) == ""


def test_old_policies_are_deleted_and_a_charts_policy_stays(
    kube: Kube, namespace: str, enforced: tuple[dict[str, Any], ...]
) -> None:
    old, charts = f"old-{secrets.token_hex(2)}", f"chart-{secrets.token_hex(2)}"
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    kube.apply(*placed([{"metadata": {"name": old}, "spec": spec}], namespace))
    meta = {"name": charts, "namespace": namespace}
    kube.create({"apiVersion": API, "kind": KIND, "metadata": meta, "spec": spec})
    assert difference(kube, namespace, enforced) == f"remove network policies {old}"
    enforce(kube, namespace, enforced)
    assert kube.get(API, KIND, old, namespace) is None
    assert kube.get(API, KIND, charts, namespace)
