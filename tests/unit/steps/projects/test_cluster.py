"""Objects of a project in the cluster: the order in which they are applied."""

from __future__ import annotations

from typing import Any, cast

from mlops_platform.adapters.kube import Kube
from mlops_platform.steps.projects.cluster import apply


class Recording:
    """A cluster where every namespace exists; records what is applied."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []

    def apply(self, *objects: dict[str, Any]) -> None:
        self.applied += objects

    def get(self, _: str, kind: str, name: str) -> dict[str, Any]:
        assert any(each["kind"] == kind for each in self.applied), "read before it was applied"
        return {"metadata": {"name": name, "uid": "the-uid"}}


def test_namespace_owns_objects_that_are_in_none() -> None:
    kinds = ("Namespace", "Role", "ClusterRole", "ClusterRoleBinding")
    kube = Recording()
    apply(cast(Kube, kube), [{"kind": kind, "metadata": {"name": "churn"}} for kind in kinds])
    owners = {each["kind"]: each["metadata"].get("ownerReferences") for each in kube.applied}
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": "churn", "uid": "the-uid"}
    assert list(owners.items()) == [
        ("Namespace", None),
        ("Role", None),
        ("ClusterRole", [owner]),
        ("ClusterRoleBinding", [owner]),
    ]
