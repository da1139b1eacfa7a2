"""Projects on a real node: made once, kept right, isolated from each other, removed completely."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.images import Images
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import ClusterAccess
from mlops_platform.engine import stored_results
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened
from mlops_platform.smoke.projects import ProjectsTest
from mlops_platform.smoke.rights import MEMBERS
from mlops_platform.steps.jobs.manifest import ScriptJob, job_of, scripts_of
from mlops_platform.steps.namespace import PrepareNamespace
from mlops_platform.steps.projects import cluster, remove
from mlops_platform.steps.projects.keep import KeepProjects, MakeProject, SyncProjects
from mlops_platform.steps.projects.model import Member, Project, Quota
from mlops_platform.steps.projects.objects import KINDS
from mlops_platform.steps.projects.rights import CLUSTER_KINDS
from mlops_platform.steps.projects.workloads import running, workloads
from mlops_platform.teardown.objects import namespaces_of

from tests.integration.components.test_network import served
from tests.integration.node import Node

pytestmark = pytest.mark.integration

CATALOG = read_catalog(Path(__file__).parent / "shared")
QUIET = Silent()
VIEWERS = (Member("group", "viewers", "view"),)


@dataclass
class Notes(Silent):
    lines: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def work(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """The context of a run, with both components in the cluster and the image of the node in all Jobs."""
    folder, default = tmp_path_factory.mktemp("projects"), Paths.default()
    environment = Environment(
        name=node.name,
        domain="example.com",
        cluster=ClusterSpec(provider="host"),
        components=dict.fromkeys(CATALOG.entries, ComponentSpec()),
    )
    paths = Paths(folder / "home", default.cache, default.assets)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Images, "reference", lambda _, name: node.image)
        made = context_of(
            Opened(paths, CATALOG, environment, folder / "unused.yaml", folder), Cancel(), folder / "run"
        )
        made.access.set(ClusterAccess(node.name, "", node.kubeconfig, "standard", ""))
        ensure_namespace(node.kube, stored_results.NAMESPACE, node.name)
        for resolved in made.resolved.values():
            PrepareNamespace(made, resolved).run(QUIET)
            for port in resolved.component.serves.values():
                node.kube.apply(*served(resolved.name, port.port, node.image))
        for resolved in made.resolved.values():
            wait_ready(node.kube, resolved.namespace, resolved.name, progress=QUIET)
        yield made


@pytest.fixture
def project(work: Context) -> Iterator[Project]:
    """A project whose quantities are not in the form that the API server stores."""
    quota = Quota.of({"cpu": "0.5", "memory": "1536Mi", "storage": "8G", "gpu": "1"})
    made = Project(f"team-{secrets.token_hex(3)}", (Member("user", "ann", "edit"), *VIEWERS), quota)
    MakeProject(work, made).run(QUIET)
    yield made
    work.clients.kube.delete("v1", "Namespace", made.name)


def test_second_run_has_nothing_to_do(work: Context, project: Project) -> None:
    assert MakeProject(work, project).observe() is None
    assert KeepProjects(work).observe() is None
    assert project.name in namespaces_of(work), "`down` deletes it in a cluster that stays"
    assert cluster.find(work, work.clients.kube, project.name) == replace(project, since=since(work, project))


def since(work: Context, project: Project) -> str:
    found = work.clients.kube.get("v1", "Namespace", project.name)
    assert found
    return str(found["metadata"]["creationTimestamp"])


def test_killed_run_is_completed_by_the_next(work: Context, project: Project) -> None:
    """A kill after the namespace: the record is there, and nothing else."""
    kube = work.clients.kube
    for api, kind in KINDS:
        for each in kube.list(api, kind, project.name, labels="mlops-platform/project"):
            kube.delete(api, kind, each["metadata"]["name"], project.name)
    keep = KeepProjects(work)
    assert keep.observe() is not None
    keep.run(QUIET)
    assert MakeProject(work, project).observe() is None


CHANGES: dict[str, tuple[str, str, str, dict[str, Any] | None]] = {
    "apply NetworkPolicy flows": ("networking.k8s.io/v1", "NetworkPolicy", "flows", None),
    "apply RoleBinding edit": (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "edit",
        {"subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]},
    ),
    "apply Role view": ("rbac.authorization.k8s.io/v1", "Role", "view", {"rules": []}),
    "apply ResourceQuota project": ("v1", "ResourceQuota", "project", {"spec": {"hard": {"pods": "9999"}}}),
    "apply ServiceAccount trainer": (
        "v1",
        "ServiceAccount",
        "trainer",
        {"automountServiceAccountToken": True},
    ),
    "apply LimitRange defaults": ("v1", "LimitRange", "defaults", None),
    "set pod-security.kubernetes.io/enforce": (
        "v1",
        "Namespace",
        "",
        {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changed_object_is_found_and_corrected(work: Context, project: Project, what: str) -> None:
    api, kind, name, patch = CHANGES[what]
    kube, keep = work.clients.kube, KeepProjects(work)
    if patch is None:
        kube.delete(api, kind, name, project.name)
    else:
        kube.patch(api, kind, name or project.name, project.name if name else "", body=patch)
    difference = keep.observe()
    assert difference and difference.summary == f"{project.name}: {what}"
    keep.run(QUIET)
    assert keep.observe() is None


def test_right_to_read_kinds_in_no_namespace_is_corrected_and_ends_with_the_project(
    work: Context, project: Project
) -> None:
    kube, keep, name = work.clients.kube, KeepProjects(work), f"mlops-project-{project.name}"
    api = "rbac.authorization.k8s.io/v1"
    kube.patch(api, "ClusterRole", name, body={"rules": []})
    kube.delete(api, "ClusterRoleBinding", name)
    difference = keep.observe()
    assert difference and difference.changes == (
        f"{project.name}: apply ClusterRole {name}",
        f"{project.name}: apply ClusterRoleBinding {name}",
    )
    keep.run(QUIET)
    assert keep.observe() is None
    remove.RemoveNamespace(work, project.name).run(QUIET)

    def gone() -> bool | Pending:
        left = [kind for kind in CLUSTER_KINDS if kube.get(api, kind, name)]
        return Pending(f"left: {left}") if left else True

    wait_until("end of the right", gone, seconds=60)


def test_own_object_of_an_older_version_is_removed(work: Context, project: Project) -> None:
    kube, keep = work.clients.kube, KeepProjects(work)
    labels = {"mlops-platform/project": project.name}
    meta = {"name": "older", "namespace": project.name, "labels": labels}
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": []})
    foreign = {"name": "theirs", "namespace": project.name}
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": foreign})
    difference = keep.observe()
    assert difference and difference.summary == f"{project.name}: remove Role older"
    keep.run(QUIET)
    assert keep.observe() is None
    assert kube.get("v1", "ServiceAccount", "theirs", project.name)


def test_script_runs_again_only_if_its_input_has_changed(work: Context, project: Project) -> None:
    notes, sync = Notes(), SyncProjects(work, work.resolved["shelf"])
    difference = sync.observe()
    assert difference and difference.summary == f"prepare {project.name}"
    sync.run(notes)
    assert f"made {project.name} for user ann edit, group viewers view" in notes.lines
    assert sync.observe() is None
    MakeProject(work, project.changed(None, {"cpu": "3"})).run(QUIET)
    assert sync.observe() is None
    MakeProject(work, project.changed(VIEWERS, {})).run(QUIET)
    assert sync.observe() is not None


def test_namespace_of_another_purpose_is_refused(work: Context) -> None:
    with pytest.raises(UsageError, match="namespace shelf exists and is no project"):
        MakeProject(work, Project("shelf")).observe()


def test_project_of_another_environment_is_refused_and_not_kept(work: Context, project: Project) -> None:
    label = {"metadata": {"labels": {"mlops-platform/environment": "other"}}}
    work.clients.kube.patch("v1", "Namespace", project.name, body=label)
    with pytest.raises(UsageError, match="belongs to the environment other"):
        MakeProject(work, project).observe()
    assert project.name not in {each.name for each in cluster.projects(work, work.clients.kube)}


def sleeping(node: Node, project: Project) -> None:
    """A Job that runs until it is deleted, and that ignores SIGTERM."""
    text = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"
    job = ScriptJob("fit", project.name, node.image, {"fit.py": text}, memory="64Mi", account="trainer")
    node.kube.apply(scripts_of(job))
    node.kube.create(job_of(job, keep=True))


def removal(work: Context, project: Project, *, keep_data: bool = False) -> Notes:
    notes = Notes()
    remove.StopWorkloads(work, project.name).run(notes)
    remove.RemovePart(work, work.resolved["shelf"], project.name, keep_data).run(notes)
    remove.RemoveNamespace(work, project.name).run(notes)
    return notes


def test_removal_ends_workloads_and_leaves_nothing(work: Context, node: Node, project: Project) -> None:
    sleeping(node, project)
    found = running(workloads(work, node.kube, project.name))
    assert [(each["kind"], each["metadata"]["name"]) for each in found] == [("Job", "fit")]
    assert removal(work, project, keep_data=True).lines == [f"removed {project.name}, KEEP_DATA=true"]
    assert node.kube.get("v1", "Namespace", project.name) is None
    assert remove.StopWorkloads(work, project.name).observe() is None
    assert remove.RemoveNamespace(work, project.name).observe() is None


def test_ended_job_does_not_count_as_running(work: Context, node: Node, project: Project) -> None:
    sleeping(node, project)
    done = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    every = [{**each, **done} for each in workloads(work, node.kube, project.name)]
    assert every and not running(every)


BOOKS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "books.shelf.example.com"},
    "spec": {
        "group": "shelf.example.com",
        "scope": "Namespaced",
        "names": {"plural": "books", "singular": "book", "kind": "Book"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def test_objects_of_a_kind_that_members_may_create_are_workloads(
    work: Context, node: Node, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A controller that is gone: its finalizer holds the object, as with a served model."""
    monkeypatch.setattr(remove, "_STUCK_SECONDS", 1.0)
    assert not workloads(work, node.kube, project.name), "the kind is not served yet"
    meta = {"namespace": project.name, "finalizers": ["shelf.example.com/reader"]}
    book = {"apiVersion": "shelf.example.com/v1", "kind": "Book"}
    done = {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    node.kube.apply(BOOKS)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    node.kube.apply({**book, "metadata": {**meta, "name": "open"}, **ready})
    node.kube.apply({**book, "metadata": {"namespace": project.name, "name": "template"}})
    node.kube.apply({**book, "metadata": {**meta, "name": "read"}, **done})
    found = workloads(work, node.kube, project.name)
    assert [each["metadata"]["name"] for each in found] == ["open", "read", "template"]
    assert [each["metadata"]["name"] for each in running(found)] == ["open"]
    with pytest.raises(StepError, match=f"project {project.name}: 2 objects cannot be deleted") as caught:
        remove.StopWorkloads(work, project.name).run(QUIET)
    assert "Book read: finalizer shelf.example.com/reader" in caught.value.why
    assert " patch book.shelf.example.com open --type merge" in caught.value.command
    for name in ("open", "read"):
        body = {"metadata": {"finalizers": None}}
        node.kube.patch("shelf.example.com/v1", "Book", name, project.name, body=body)
    assert removal(work, project).lines == [f"removed {project.name}, KEEP_DATA=false"]


def test_stuck_finalizer_is_named_with_the_command_that_removes_it(
    work: Context, node: Node, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remove, "_STUCK_SECONDS", 1.0)
    meta = {"name": "held", "namespace": project.name, "finalizers": ["example.com/gone"]}
    node.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    with pytest.raises(StepError, match=f"project {project.name}: 1 object cannot be deleted") as caught:
        removal(work, project)
    assert caught.value.why == "ConfigMap held: finalizer example.com/gone"
    assert caught.value.command.endswith(
        f"--namespace {project.name} patch configmap held --type merge --patch "
        '\'{"metadata":{"finalizers":null}}\''
    )
    assert KeepProjects(work).observe() is None, "`up` leaves it alone"
    assert SyncProjects(work, work.resolved["shelf"]).observe() is None
    with pytest.raises(UsageError, match="is being removed"):
        MakeProject(work, project).observe()
    body = {"metadata": {"finalizers": None}}
    node.kube.patch("v1", "ConfigMap", "held", project.name, body=body)
    remove.RemoveNamespace(work, project.name).run(QUIET)
    assert node.kube.get("v1", "Namespace", project.name) is None


def failed(work: Context, kube: Kube) -> set[str]:
    return {result.name for result in ProjectsTest(work, 5.0).run(kube, QUIET) if not result.ok}


def left(kube: Kube) -> list[str]:
    found = kube.metadata("v1", "Namespace", labels="mlops-platform/passing=mlops-smoke")
    return [each["metadata"]["name"] for each in found if "deletionTimestamp" not in each["metadata"]]


def test_smoke_test_checks_two_projects_and_removes_them(work: Context, node: Node) -> None:
    results = ProjectsTest(work).run(node.kube, QUIET)
    assert not [each for each in results if not each.ok]
    names = {each.name for each in results}
    assert {
        "project A reaches shelf:8080",
        "refused: project B to closed:8082",
        "refused: project A to the API server",
        "refused: project B to a node's kubelet",
        "project A reaches a pod of project A",
        "refused: project A to a pod of project B",
        "refused: project B to a pod of project A",
        "refused: project B: a token of the API server",
        "trainer of project A creates Jobs in A",
        "refused: trainer of project A creates Jobs in B",
        f"refused: {MEMBERS[0]} of project A lists pods in B",
        "server of project A lists shelves",
        "refused: trainer of project A changes shelves",
    } <= names
    assert not left(node.kube)
    assert not cluster.projects(work, node.kube), "temporary projects are no projects"


def test_smoke_test_finds_open_policies(work: Context, node: Node, tmp_path: Path) -> None:
    """Project A and project B accept everything: each reaches the other."""
    shutil.copytree(work.paths.assets / "policies", tmp_path / "policies")
    spec = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    policy = {"metadata": {"name": "open"}, "spec": spec}
    (tmp_path / "policies/open.yaml").write_text(json.dumps(policy))
    paths = replace(work.paths, assets=tmp_path)
    assert failed(replace(work, paths=paths), node.kube) == {
        *(
            f"refused: project {one} to {what}"
            for one in "AB"
            for what in ("the API server", "a node's kubelet")
        ),
        "refused: project A to a pod of project B",
        "refused: project B to a pod of project A",
    }


def test_smoke_test_finds_rights_in_the_other_project(work: Context, node: Node) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [rule]}
    subject = {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "too-much"}
    binding = {**role, "kind": "ClusterRoleBinding", "subjects": [subject], "roleRef": reference}
    del binding["rules"]
    meta = {"metadata": {"name": "too-much"}}
    node.kube.apply({**role, **meta}, {**binding, **meta})
    try:
        accounts = ("trainer", "airflow", "server")
        expected = {f"refused: {name} of project A reads secrets in A" for name in accounts}
        assert failed(work, node.kube) == expected
    finally:
        node.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "too-much")
        node.kube.delete("rbac.authorization.k8s.io/v1", "ClusterRole", "too-much")


def test_projects_of_a_killed_smoke_test_are_removed_by_the_next(work: Context, node: Node) -> None:
    labels = {"mlops-platform/passing": "mlops-smoke", "mlops-platform/project": "mlops-smoke-old"}
    ensure_namespace(node.kube, "mlops-smoke-old", node.name, more=labels)
    assert not failed(work, node.kube)
    assert not left(node.kube)
