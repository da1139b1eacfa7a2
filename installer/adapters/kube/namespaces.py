"""Owns a component's namespace: made by us and labelled as ours, or refused when somebody else's."""

from __future__ import annotations

from installer.adapters.kube.client import Kube, Object
from installer.errors import StepError

_OURS = {"app.kubernetes.io/part-of": "mlops-platform"}
ENVIRONMENT_LABEL = "mlops-platform/environment"


def _labels(environment_name: str) -> dict[str, str]:
    """https://kubernetes.io/docs/concepts/security/pod-security-admission/"""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    return {**_OURS, ENVIRONMENT_LABEL: environment_name, **levels}


def _ours(found: Object) -> bool:
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in _OURS.items())


def namespace_is_ours(kube: Kube, namespace: str) -> bool:
    """There, not being deleted, and made by us."""
    found = kube.get("v1", "Namespace", namespace)
    return found is not None and _ours(found) and "deletionTimestamp" not in found["metadata"]


def ensure_namespace(kube: Kube, namespace: str, environment_name: str) -> None:
    """Make it, or set our labels on it. Raises StepError when it is not ours or on its way out."""
    found = kube.get("v1", "Namespace", namespace)
    if found and not _ours(found):
        raise StepError(
            f"namespace {namespace} exists and was not made by this platform",
            why="its label app.kubernetes.io/part-of is not mlops-platform",
            hint="if it is free to use, label it as below; otherwise give the cluster to one of the two",
            command=kube.kubectl("label", "namespace", namespace, *(f"{k}={v}" for k, v in _OURS.items())),
        )
    if found and "deletionTimestamp" in found["metadata"]:
        raise StepError(
            f"namespace {namespace} is being deleted",
            why=_why_terminating(found),
            hint="wait until it is gone, then run up again",
            command=kube.kubectl("get", "namespace", namespace, "-o", "yaml"),
            transient=True,
        )
    meta = {"name": namespace, "labels": _labels(environment_name)}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})


def _why_terminating(found: Object) -> str:
    conditions = found.get("status", {}).get("conditions", [])
    messages = [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
    return "\n".join(messages) or "its objects are still going"
