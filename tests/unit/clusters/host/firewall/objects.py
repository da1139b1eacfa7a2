"""Pods, namespaces and policies as the API server returns them."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def a_pod(uid: str, version: int = 1, *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    meta = {
        "uid": uid,
        "resourceVersion": str(version),
        "namespace": "app",
        "name": f"pod-{uid}",
        "labels": labels or {"app": "web"},
    }
    return {"metadata": meta, "spec": {"containers": [{}], **spec}, "status": {"phase": "Running"}}


def a_namespace(name: str = "app", version: int = 1) -> Object:
    return {"metadata": {"uid": name, "resourceVersion": str(version), "name": name, "labels": {"a": "b"}}}


def a_policy(uid: str, version: int = 1, **spec: Any) -> Object:
    meta = {"uid": uid, "resourceVersion": str(version), "namespace": "app", "name": uid}
    return {"metadata": meta, "spec": {"podSelector": {}, "policyTypes": ["Ingress"], **spec}}
