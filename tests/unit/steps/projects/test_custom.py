"""Custom resources that a component has for each project: their contents, and what changes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.base.labels import COMPONENT_LABEL, PROJECT_LABEL
from mlops_platform.base.progress import Silent
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.projects import cluster as projects
from mlops_platform.steps.projects import custom
from mlops_platform.steps.projects.custom import ApplyProjectObjects, RemoveProjectObjects, wanted
from mlops_platform.steps.projects.model import Project, Quota

OBJECTS = """
apiVersion: queues.example.com/v1
kind: Queue
metadata: {name: "${project}", labels: {own: label}}
spec: {cpu: "${quota_cpu}", gpu: "${quota_gpu}"}
---
apiVersion: queues.example.com/v1
kind: Entry
metadata: {name: project, namespace: "${project}"}
"""
CHURN = Project("churn", quota=Quota.of({"cpu": "2500m", "gpu": "1"}))


@pytest.fixture
def resolved(tmp_path: Path) -> ResolvedComponent:
    (tmp_path / "queues.yaml").write_text(OBJECTS)
    component = SimpleNamespace(
        name="queues",
        projects=SimpleNamespace(objects=["queues.yaml"]),
        objects=[],
        module=None,
        embedded=None,
    )
    made = SimpleNamespace(
        name="queues",
        namespace="queues",
        component=component,
        folder=tmp_path,
        environment="local",
        variables={},
    )
    return cast(ResolvedComponent, made)


class Cluster:
    """A cluster with projects and objects; records what is applied and deleted."""

    def __init__(self, objects: list[dict[str, Any]]) -> None:
        self.objects = objects
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[tuple[str, str]] = []

    def list(self, _: str, kind: str, namespace: str = "", *, labels: str) -> list[dict[str, Any]]:
        assert labels.startswith(f"{COMPONENT_LABEL}=queues,{PROJECT_LABEL}"), "never objects of the release"
        project = labels.rpartition(f"{PROJECT_LABEL}=")[2] if f"{PROJECT_LABEL}=" in labels else ""
        found = [each for each in self.objects if each["kind"] == kind]
        return [o for o in found if project in ("", o["metadata"]["labels"][PROJECT_LABEL])]

    def apply(self, *objects: dict[str, Any]) -> None:
        self.applied += objects

    def kubectl(self, *_: str) -> str:
        return "kubectl"

    def delete(self, _: str, kind: str, name: str, namespace: str = "") -> None:
        self.deleted.append((kind, name))


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """A context whose clients are the test's cluster, with one project and one that is being removed."""
    spaces = [{"metadata": {"name": name, "uid": f"uid-{name}"}} for name in ("churn", "old")]
    monkeypatch.setattr(projects, "namespaces", lambda *_: spaces)
    monkeypatch.setattr(
        custom, "read_project", lambda _, name: CHURN if name == "churn" else Project("old", removing=True)
    )
    return cast(Context, SimpleNamespace(clients=SimpleNamespace(kube=None), cancel=None))


def step(context: Context, resolved: ResolvedComponent, cluster: Cluster) -> ApplyProjectObjects:
    clients = SimpleNamespace(kube=cast(Kube, cluster), kube_for_write=lambda: cluster)
    return ApplyProjectObjects(cast(Context, SimpleNamespace(clients=clients)), resolved)


def test_objects_have_the_project_and_its_quota(resolved: ResolvedComponent) -> None:
    queue, entry = wanted(resolved, CHURN, "uid-churn")
    assert queue["metadata"]["name"] == "churn"
    assert queue["spec"] == {"cpu": "2500m", "gpu": "1"}
    assert queue["metadata"]["labels"].items() >= {"own": "label", PROJECT_LABEL: "churn"}.items()
    assert entry["metadata"]["namespace"] == "churn"


def test_namespace_owns_objects_that_are_in_none(resolved: ResolvedComponent) -> None:
    """Kubernetes deletes them after the namespace, also if a run is killed."""
    queue, entry = wanted(resolved, CHURN, "uid-churn")
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": "churn", "uid": "uid-churn"}
    assert queue["metadata"]["ownerReferences"] == [owner]
    assert "ownerReferences" not in entry["metadata"]


def test_equal_objects_are_no_difference(context: Context, resolved: ResolvedComponent) -> None:
    assert step(context, resolved, Cluster(wanted(resolved, CHURN, "uid-churn"))).observe() is None


def test_changed_quota_applies_the_queue_again(context: Context, resolved: ResolvedComponent) -> None:
    smaller = Project("churn", quota=Quota.of({"cpu": "1"}))
    cluster = Cluster(wanted(resolved, smaller, "uid-churn"))
    found = step(context, resolved, cluster)
    difference = found.observe()
    assert difference and difference.summary == "change 1 object of 1 project"
    found.run(Silent())
    assert [(o["kind"], o["metadata"]["name"]) for o in cluster.applied] == [("Queue", "churn")]


def test_objects_that_the_files_no_longer_have_are_deleted_in_lasting_projects_only(
    context: Context, resolved: ResolvedComponent
) -> None:
    """Those of smoke tests and of projects that are being removed go with their namespace."""
    extra = [
        {**each, "metadata": {**each["metadata"], "name": f"{project.name}-extra"}}
        for project in (CHURN, Project("old"), Project("smoke-1"))
        for each in wanted(resolved, project, "uid")[:1]
    ]
    cluster = Cluster([*wanted(resolved, CHURN, "uid-churn"), *extra])
    step(context, resolved, cluster).run(Silent())
    assert cluster.deleted == [("Queue", "churn-extra")]
    assert not cluster.applied


def test_removal_deletes_the_objects_of_the_project_only(resolved: ResolvedComponent) -> None:
    cluster = Cluster([*wanted(resolved, CHURN, "uid"), *wanted(resolved, Project("other"), "uid")])
    clients = SimpleNamespace(kube=cluster, kube_for_write=lambda: cluster)
    context = cast(Context, SimpleNamespace(clients=clients, cancel=None))
    removal = RemoveProjectObjects(context, resolved, "churn")
    difference = removal.observe()
    assert difference and difference.summary == "delete Queue churn, Entry project"
    assert RemoveProjectObjects(context, resolved, "gone").observe() is None
