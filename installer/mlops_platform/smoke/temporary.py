"""A project that exists for one smoke test, and the rights of the test in it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT, PASSING
from mlops_platform.base.labels import OWNED
from mlops_platform.catalogue.scripts import SmokeSpec
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.projects.cluster import wait_for_quota
from mlops_platform.steps.projects.model import ROLES, Project
from mlops_platform.steps.projects.objects import RBAC, objects_of

_API = f"{RBAC}/v1"


@contextmanager
def temporary_project(
    context: Context, kube: Kube, resolved: ResolvedComponent, spec: SmokeSpec
) -> Iterator[str]:
    """A project for the duration of the block, if the test wants one; yields its name, else ''.

    The account of the component's Jobs may do there what `edit` may, and has the test's `rights` in the
    cluster. Both end with the block. After a killed run, the next one deletes them with the namespace.
    """
    if not spec.project:
        yield ""
        return
    purpose = f"smoke-{resolved.name}"
    for old in kube.metadata("v1", "Namespace", labels=f"{PASSING}={purpose}"):
        kube.delete("v1", "Namespace", old["metadata"]["name"])
    name = f"{purpose}-{secrets.token_hex(3)}"
    try:
        kube.apply(*objects_of(context, Project(name), {PASSING: purpose}))
        kube.apply(*_rights(kube, name, resolved, spec))
        wait_for_quota(context, kube, name)
        yield name
    finally:
        for kind in ("ClusterRoleBinding", "ClusterRole") if spec.rights else ():
            kube.delete(_API, kind, name)
        kube.delete("v1", "Namespace", name)


def _rights(kube: Kube, name: str, resolved: ResolvedComponent, spec: SmokeSpec) -> Iterator[dict[str, Any]]:
    """Bindings of the account: to the project's roles, and to a role with the test's rights."""
    account = {"kind": "ServiceAccount", "name": JOBS_ACCOUNT, "namespace": resolved.namespace}

    def binding(kind: str, role_kind: str, role: str, meta: dict[str, Any]) -> dict[str, Any]:
        reference = {"apiGroup": RBAC, "kind": role_kind, "name": role}
        meta = {"labels": OWNED, **meta}
        return {
            "apiVersion": _API,
            "kind": kind,
            "metadata": meta,
            "roleRef": reference,
            "subjects": [account],
        }

    for role in ROLES:
        yield binding("RoleBinding", "Role", role, {"name": f"smoke-{role}", "namespace": name})
    if spec.rights:
        found = kube.get("v1", "Namespace", name)
        assert found, "it was applied just now"
        # Kubernetes deletes them with the namespace, also if this run is killed.
        owner = {"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": found["metadata"]["uid"]}
        meta = {"name": name, "labels": OWNED, "ownerReferences": [owner]}
        rules = [rule.manifest for rule in spec.rights]
        yield {"apiVersion": _API, "kind": "ClusterRole", "metadata": meta, "rules": rules}
        yield binding("ClusterRoleBinding", "ClusterRole", name, meta)
