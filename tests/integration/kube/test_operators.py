"""Operators of another owner, on a real API server: found with version and owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.kube.operators import Operator, find_operators

pytestmark = pytest.mark.integration

CHART = {"helm.sh/chart": "fan-crd-v0.16.2", "app.kubernetes.io/managed-by": "Helm"}
RELEASE = {"meta.helm.sh/release-name": "fans", "meta.helm.sh/release-namespace": "shop"}


def definition(group: str, plural: str, **meta: Any) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", **meta},
        "spec": {
            "group": group,
            "names": {"plural": plural, "kind": plural.removesuffix("s").capitalize()},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def by_another_program(kube: Kube, each: dict[str, Any]) -> None:
    query = urlencode({"fieldManager": "kubectl-create"})
    kube.raw("POST", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions?{query}", each)


def webhook(group: str) -> list[dict[str, Any]]:
    """A webhook for the group, and the pod behind it."""
    meta = {"name": "pump", "namespace": "default"}
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pumps"]}
    hook = {
        "name": "pumps.example.com",
        "clientConfig": {"service": meta, "caBundle": "Cg=="},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    container = {"name": "manager", "image": "example.com/pump/manager:v1.4.0"}
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "pumps"},
            "webhooks": [hook],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": {"app": "pump"}, "ports": [{"port": 443}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**meta, "labels": {"app": "pump"}},
            "spec": {"containers": [container], "automountServiceAccountToken": False},
        },
    ]


@pytest.fixture
def aggregated(kube: Kube) -> Iterator[str]:
    """A group that an APIService serves, removed at the end: discovery waits for its server."""
    group, kind = "late.example.com", ("apiregistration.k8s.io/v1", "APIService")
    service = {"group": group, "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    behind = {"service": {"name": "late", "namespace": "default"}, "insecureSkipTLSVerify": True}
    meta = {"name": f"v1.{group}"}
    kube.apply({"apiVersion": kind[0], "kind": kind[1], "metadata": meta, "spec": {**service, **behind}})
    yield group
    kube.delete(*kind, meta["name"])


def test_operators_are_found_with_version_and_owner(kube: Kube, aggregated: str) -> None:
    fans, pumps, ours = "fans.example.com", "pumps.example.com", "ours.example.com"
    by_another_program(kube, definition(fans, "rotors", labels=CHART, annotations=RELEASE))
    by_another_program(kube, definition(fans, "blades", labels=CHART, annotations=RELEASE))
    by_another_program(kube, definition(pumps, "pumps"))
    kube.apply(definition(ours, "wheels", labels={ENVIRONMENT_LABEL: "staging"}), *webhook(pumps))
    found = find_operators(kube, [fans, pumps, ours, aggregated, "apps", "none.example.com"])
    assert found == {
        fans: Operator(
            fans, (f"blades.{fans}", f"rotors.{fans}"), "0.16.2", "Helm release fans in namespace shop"
        ),
        pumps: Operator(pumps, (f"pumps.{pumps}",), "1.4.0", "kubectl-create"),
        ours: Operator(ours, (f"wheels.{ours}",), "", "mlops-platform", "staging"),
        aggregated: Operator(aggregated, (f"v1.{aggregated}",), "", "mlops-platform"),
    }
    assert str(found[fans]) == "fans.example.com 0.16.2, owner: Helm release fans in namespace shop"
