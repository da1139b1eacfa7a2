"""API paths of kinds: known kinds from a table, others from one discovery request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resource:
    """The plural of a kind in paths, and whether its objects are in a namespace."""

    plural: str
    namespaced: bool = True


def _many(names: str, *, namespaced: bool = True) -> dict[str, Resource]:
    return {kind: Resource(kind.lower() + "s", namespaced) for kind in names.split()}


_KNOWN: dict[str, dict[str, Resource]] = {
    "": {
        **_many("ConfigMap Event LimitRange PersistentVolumeClaim Pod ResourceQuota Secret Service"),
        **_many("ServiceAccount"),
        **_many("Namespace Node PersistentVolume", namespaced=False),
        "Endpoints": Resource("endpoints"),
    },
    "apps": _many("ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet"),
    "batch": _many("CronJob Job"),
    "coordination.k8s.io": _many("Lease"),
    "discovery.k8s.io": _many("EndpointSlice"),
    "apiextensions.k8s.io": _many("CustomResourceDefinition", namespaced=False),
    "networking.k8s.io": {"NetworkPolicy": Resource("networkpolicies"), "Ingress": Resource("ingresses")},
    "policy": _many("PodDisruptionBudget"),
    "rbac.authorization.k8s.io": {
        **_many("Role RoleBinding"),
        **_many("ClusterRole ClusterRoleBinding", namespaced=False),
    },
    "scheduling.k8s.io": {"PriorityClass": Resource("priorityclasses", namespaced=False)},
    "storage.k8s.io": {"StorageClass": Resource("storageclasses", namespaced=False)},
}


def root(api_version: str) -> str:
    """'v1' -> '/api/v1', 'apps/v1' -> '/apis/apps/v1'."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


@dataclass(frozen=True)
class Served:
    """A namespaced kind that the server serves."""

    api_version: str
    kind: str


class Resources:
    """Resources by kind; discovery answers are kept, as the plural of a kind does not change."""

    def __init__(self, ask: Callable[[str], Any]) -> None:
        self._ask = ask
        self._asked: dict[tuple[str, str], Resource] = {}

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of a kind; None if the server does not serve it, or not yet."""
        group = api_version.rpartition("/")[0]
        known = _KNOWN.get(group, {}).get(kind) or self._asked.get((api_version, kind))
        if known:
            return known
        answer = self._ask(root(api_version))
        for item in (answer or {}).get("resources", []):
            if "/" not in item["name"]:  # others are subresources, such as deployments/scale
                self._asked[api_version, item["kind"]] = Resource(item["name"], item["namespaced"])
        return self._asked.get((api_version, kind))

    def served(self, group: str) -> dict[str, Served]:
        """The namespaced kinds of an API group ('': the core) by plural; none if the group is not served.

        A kind of several versions has the preferred one; some kinds are not in the preferred version.
        """
        versions = ["v1"]
        if group:
            found = self._ask(f"/apis/{group}") or {"versions": []}
            versions = [each["groupVersion"] for each in found["versions"]]
            versions.sort(key=lambda each: each != found["preferredVersion"]["groupVersion"])
        kinds: dict[str, Served] = {}
        for version in versions:
            for item in (self._ask(root(version)) or {}).get("resources", []):
                if item["namespaced"] and "/" not in item["name"]:
                    kinds.setdefault(item["name"], Served(version, item["kind"]))
        return kinds
