"""Namespaces of components: created and labeled, or rejected if they were not created here."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from mlops_platform.adapters.kube.client import Kube, Object
from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import OWNED

ENVIRONMENT_LABEL = "mlops-platform/environment"
RESTRICTED = "restricted"
PASSING = "mlops-platform/passing"
# The account of our Jobs. Pods without an account of their own get `default`.
JOBS_ACCOUNT = "platform-jobs"
_ACCOUNTS = ("default", JOBS_ACCOUNT)


def labels_of(environment_name: str, level: str = RESTRICTED) -> dict[str, str]:
    """https://kubernetes.io/docs/concepts/security/pod-security-admission/"""
    levels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn", "audit")}
    return {**OWNED, ENVIRONMENT_LABEL: environment_name, **levels}


def _ours(found: Object) -> bool:
    labels = found["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in OWNED.items())


def namespace_is_ours(kube: Kube, namespace: str) -> bool:
    """Return whether the namespace exists, is not being deleted and was created here."""
    found = kube.get("v1", "Namespace", namespace)
    return found is not None and _ours(found) and "deletionTimestamp" not in found["metadata"]


def difference(kube: Kube, namespace: str, environment_name: str, level: str = RESTRICTED) -> str:
    """'' if the namespace is as `ensure_namespace` creates it, else what to do, in a few words."""
    namespaced = kube.get("v1", "Namespace", namespace)
    if namespaced is None or not _ours(namespaced) or "deletionTimestamp" in namespaced["metadata"]:
        return "make the namespace"
    labels = namespaced["metadata"]["labels"]
    wrong = [key for key, value in labels_of(environment_name, level).items() if labels.get(key) != value]
    if wrong:
        return f"set label {wrong[0]}"
    found = {a["metadata"]["name"]: a for a in kube.list("v1", "ServiceAccount", namespace)}
    for name in _ACCOUNTS:
        if found.get(name, {}).get("automountServiceAccountToken") is not False:
            return f"no token for service account {name}"
    return ""


def ensure_namespace(
    kube: Kube,
    namespace: str,
    environment_name: str,
    level: str = RESTRICTED,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Create a namespace, or set our labels on it; no account in it mounts tokens by default.

    Raises StepError if it was not created here, or is being deleted.
    """
    found = kube.get("v1", "Namespace", namespace)
    if found and not _ours(found):
        raise StepError(
            f"namespace {namespace} exists and was not made by this platform",
            why="its label app.kubernetes.io/part-of is not mlops-platform",
            hint="label it as below if the platform may use it; else use another cluster",
            command=kube.kubectl("label", "namespace", namespace, *(f"{k}={v}" for k, v in OWNED.items())),
        )
    if found and "deletionTimestamp" in found["metadata"]:
        raise StepError(
            f"namespace {namespace} is being deleted",
            why=_why_terminating(found),
            hint="wait until it is gone, then run up again",
            command=kube.kubectl("get", "namespace", namespace, "-o", "yaml"),
            transient=True,
        )
    meta = {"name": namespace, "labels": {**labels_of(environment_name, level), **more}}
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    kube.apply(*(_account(namespace, name) for name in _ACCOUNTS))


@contextmanager
def passing_namespace(kube: Kube, purpose: str, environment_name: str) -> Iterator[str]:
    """A temporary namespace with a new name and no policy, for the duration of the block; yields the name.

    Those of killed runs are deleted first. Deletion is not waited for.
    """
    for old in kube.metadata("v1", "Namespace", labels=f"{PASSING}={purpose}"):
        kube.delete("v1", "Namespace", old["metadata"]["name"])
    name = f"{purpose}-{secrets.token_hex(4)}"
    try:
        ensure_namespace(kube, name, environment_name, more={PASSING: purpose})
        yield name
    finally:
        kube.delete("v1", "Namespace", name)


def _account(namespace: str, name: str) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": OWNED}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    return {**account, "automountServiceAccountToken": False}


def _why_terminating(found: Object) -> str:
    conditions = found.get("status", {}).get("conditions", [])
    messages = [c["message"] for c in conditions if c["status"] == "True" and c.get("message")]
    return "\n".join(messages) or "its objects are still going"
