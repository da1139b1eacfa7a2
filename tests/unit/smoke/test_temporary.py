"""The project of one smoke test: the rights of the test, and their end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.catalogue.scripts import SmokeSpec
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.smoke import temporary
from mlops_platform.smoke.temporary import temporary_project
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec
from mlops_platform.steps.projects.model import Project

RIGHT = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}
COMPONENT = SimpleNamespace(projects=None, pipelines=None)
RESOLVED = cast(
    ResolvedComponent, SimpleNamespace(name="operator", namespace="operators", component=COMPONENT)
)
CONTEXT = cast(Context, None)


class Recording:
    """A cluster with the namespace of a killed run; records what is applied and deleted."""

    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[tuple[str, str]] = []

    def metadata(self, _: str, kind: str, *, labels: str) -> list[dict[str, Any]]:
        assert (kind, labels) == ("Namespace", "mlops-platform/passing=smoke-operator")
        return [{"metadata": {"name": "smoke-operator-old"}}]

    def get(self, _: str, kind: str, name: str) -> dict[str, Any]:
        return {"kind": kind, "metadata": {"name": name, "uid": "the-uid"}}

    def apply(self, *objects: dict[str, Any]) -> None:
        self.applied += objects

    def delete(self, _: str, kind: str, name: str) -> None:
        self.deleted.append((kind, name))


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> Recording:
    monkeypatch.setattr(temporary, "objects_of", lambda *_: ())
    monkeypatch.setattr(temporary, "wait_for_quota", lambda *_: None)
    return Recording()


def test_rights_are_of_the_jobs_account_and_end_with_the_test(kube: Recording) -> None:
    spec = SmokeSpec.model_validate({"script": "smoke.py", "project": True, "rights": [RIGHT]})
    with temporary_project(CONTEXT, cast(Kube, kube), RESOLVED, spec) as name:
        assert kube.deleted == [("Namespace", "smoke-operator-old")], "the namespace of a killed run"
    bindings = [each for each in kube.applied if "roleRef" in each]
    account = {"kind": "ServiceAccount", "name": JOBS_ACCOUNT, "namespace": "operators"}
    assert all(each["subjects"] == [account] for each in bindings)
    found = {(each["kind"], each["roleRef"]["name"], each["metadata"].get("namespace")) for each in bindings}
    assert found == {
        ("RoleBinding", "view", name),
        ("RoleBinding", "edit", name),
        ("ClusterRoleBinding", name, None),
    }
    assert kube.deleted[1:] == [("ClusterRoleBinding", name), ("ClusterRole", name), ("Namespace", name)]


def test_rights_in_the_cluster_belong_to_the_namespace_so_that_a_killed_run_leaves_none(
    kube: Recording,
) -> None:
    spec = SmokeSpec.model_validate({"script": "smoke.py", "project": True, "rights": [RIGHT]})
    with temporary_project(CONTEXT, cast(Kube, kube), RESOLVED, spec) as name:
        pass
    wide = [each for each in kube.applied if each["kind"].startswith("Cluster")]
    owner = {"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": "the-uid"}
    assert [each["metadata"]["ownerReferences"] for each in wide] == [[owner], [owner]]
    assert [each["rules"] for each in wide if "rules" in each] == [[RIGHT]]


def test_test_without_a_project_gets_none(kube: Recording) -> None:
    spec = SmokeSpec.model_validate({"script": "smoke.py"})
    with temporary_project(CONTEXT, cast(Kube, kube), RESOLVED, spec) as name:
        assert name == ""
    assert not kube.applied and not kube.deleted


def test_only_a_test_that_calls_the_api_server_has_a_token_for_it() -> None:
    job = ScriptJob("smoke", "operators", "image", {"smoke.py": ""})
    mounted = [
        pod_spec(each)["automountServiceAccountToken"]
        for each in (job, ScriptJob("smoke", "operators", "image", {"smoke.py": ""}, api=True))
    ]
    assert mounted == [False, True]
    assert job.digest == ScriptJob("smoke", "operators", "image", {"smoke.py": ""}, api=False).digest


def test_people_of_a_test_are_members_by_their_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Project] = []

    def objects_of(_: object, project: Project, __: object) -> tuple[()]:
        seen.append(project)
        return ()

    monkeypatch.setattr(temporary, "objects_of", objects_of)
    monkeypatch.setattr(temporary, "wait_for_quota", lambda *_: None)
    for people in (True, False):
        spec = SmokeSpec.model_validate({"script": "smoke.py", "project": True, "people": people})
        with temporary_project(CONTEXT, cast(Kube, Recording()), RESOLVED, spec):
            pass
    assert [[str(member) for member in project.members] for project in seen] == [
        ["data-scientists:edit", "viewers:view"],
        [],
    ]
