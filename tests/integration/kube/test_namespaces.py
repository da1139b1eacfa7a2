"""Namespaces: created once with labels; foreign namespaces are not changed."""

from __future__ import annotations

import secrets

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.namespaces import ensure_namespace, namespace_is_ours
from mlops_platform.base.errors import StepError

pytestmark = pytest.mark.integration


def test_namespace_is_created_once_with_labels(kube: Kube) -> None:
    name = f"ours-{secrets.token_hex(4)}"
    assert not namespace_is_ours(kube, name)
    ensure_namespace(kube, name, "staging")
    first = kube.get("v1", "Namespace", name)
    ensure_namespace(kube, name, "staging")
    again = kube.get("v1", "Namespace", name)
    assert first and again
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert namespace_is_ours(kube, name)
    labels = first["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "mlops-platform"
    assert labels["mlops-platform/environment"] == "staging"
    assert {labels[f"pod-security.kubernetes.io/{m}"] for m in ("enforce", "warn", "audit")} == {"restricted"}


def test_pod_security_label_is_enforced(kube: Kube) -> None:
    name = f"ours-{secrets.token_hex(4)}"
    ensure_namespace(kube, name, "staging")
    spec = {"containers": [{"name": "c", "image": "x"}], "hostNetwork": True}
    with pytest.raises(KubeError) as refused:
        kube.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": name}, "spec": spec}
        )
    assert refused.value.status == 403
    assert 'violates PodSecurity "restricted' in refused.value.why


def test_foreign_namespace_is_an_error_and_unchanged(kube: Kube, namespace: str) -> None:
    before = kube.get("v1", "Namespace", namespace)
    assert not namespace_is_ours(kube, namespace)
    with pytest.raises(StepError) as refused:
        ensure_namespace(kube, namespace, "staging")
    assert refused.value.what == f"namespace {namespace} exists and was not made by this platform"
    assert refused.value.command.endswith(
        f"label namespace {namespace} app.kubernetes.io/part-of=mlops-platform"
    )
    assert kube.get("v1", "Namespace", namespace) == before


def test_terminating_namespace_is_not_ours(kube: Kube) -> None:
    name = f"ours-{secrets.token_hex(4)}"
    ensure_namespace(kube, name, "staging")
    kube.delete("v1", "Namespace", name)  # no controller completes the deletion here
    assert not namespace_is_ours(kube, name)
    with pytest.raises(StepError, match="is being deleted") as refused:
        ensure_namespace(kube, name, "staging")
    assert refused.value.transient
