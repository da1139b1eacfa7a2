"""Data from before projects: moved from MLflow's workspace `default` into a project, with its artifacts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.steps.jobs.manifest import ScriptJob

from tests.e2e.platform import Platform
from tests.e2e.test_tenancy import client_job, image_of, printed, run

pytestmark = pytest.mark.e2e

P, OTHER = "heirs", "others"
# An experiment as MLflow made it before it had workspaces.
BEFORE = """\
from pathlib import Path

import psycopg
from platform_vault import database_password

uri = Path("/run/secrets/database/uri").read_text()
with psycopg.connect(uri, password=database_password(), connect_timeout=10) as session:
    made = "INSERT INTO experiments (name, lifecycle_stage, workspace) VALUES ('work', 'active', 'default')"
    row = session.execute(made + " RETURNING experiment_id").fetchone()
    place = "artifact_location = 'mlflow-artifacts:/' || experiment_id"
    session.execute(f"UPDATE experiments SET {place} WHERE experiment_id = %s", row)
"""
RBAC = "rbac.authorization.k8s.io/v1"
# What no one has: a right to write in `default`, as before projects. For the account of training jobs of P.
RULES = [
    {
        "apiGroups": ["mlflow.mlops-platform.io"],
        "resources": ["experiments", "registeredmodels"],
        "verbs": ["get", "update", "delete"],
    }
]


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(platform.state / "kubeconfig")


@pytest.fixture(scope="module")
def ids(platform: Platform, kube: Kube) -> Iterator[dict[str, Any]]:
    """Two projects, and in `default`: experiment `work` with a run, a trace, and the model `clf-default`."""
    subject = {"kind": "ServiceAccount", "name": "trainer", "namespace": P}
    meta = {"name": "before-projects", "namespace": "default"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": meta["name"]}
    for name in (P, OTHER):
        platform.ok("project", "add", name)
    kube.apply({"apiVersion": RBAC, "kind": "Role", "metadata": meta, "rules": RULES})
    binding = {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": meta}
    kube.apply({**binding, "roleRef": reference, "subjects": [subject]})
    try:
        run(kube, before_job(kube))
        yield printed(run(kube, in_default(kube, client_job("data", P, image_of(kube)))))
    finally:
        for kind in ("RoleBinding", "Role"):
            kube.delete(RBAC, kind, meta["name"], "default")
        for name in (P, OTHER):
            platform.ok("project", "remove", name, "--yes", "--force")


def before_job(kube: Kube) -> ScriptJob:
    """The experiment `work` of `default`, with its artifacts where they were before projects."""
    (node, *_) = kube.list("v1", "Node")
    names = [name for each in node["status"]["images"] for name in each["names"]]
    image = next(name for name in names if "toolbox" in name)
    secrets = {"mlflow-database": "database"}
    return ScriptJob("before", "mlflow", image, {"before.py": BEFORE}, secrets=secrets, audience="vault")


def in_default(kube: Kube, job: ScriptJob) -> ScriptJob:
    """The client of a pod of P, in the workspace `default`."""
    return replace(job, env={**job.env, "MLFLOW_WORKSPACE": "default", "PROJECT": "default"})


def read_job(kube: Kube, ids: dict[str, Any], project: str, workspace: str = "") -> ScriptJob:
    job = client_job("read", project, image_of(kube))
    more = {"MLFLOW_WORKSPACE": workspace} if workspace else {}
    return replace(job, env={**job.env, **more}, files={"ids.json": json.dumps(ids)})


def items(platform: Platform) -> dict[str, str]:
    found = platform.ok("project", "import", P, "--output", "json").envelope["data"]["items"]
    return {f"{each['kind']}/{each['name']}": each["about"] for each in found}


def test_contents_of_default_are_listed(platform: Platform, ids: dict[str, Any]) -> None:
    found = items(platform)
    assert found["experiment/work"] == "1 runs"
    assert found["model/clf-default"] == "1 versions, work"


@pytest.mark.parametrize(
    ("given", "code", "why"),
    [
        (["experiment/work"], 5, "name these too: model/clf-default"),
        (["model/clf-default"], 5, "name these too: experiment/work"),
        (["experiment/nothing"], 5, "has none of this name"),
        (["experiment/Default"], 5, "MLflow needs experiment 0"),
        (["run/1"], 2, "not an item: run/1"),
    ],
)
def test_import_that_cannot_be_whole_changes_nothing(
    platform: Platform, ids: dict[str, Any], given: list[str], code: int, why: str
) -> None:
    before = items(platform)
    result = platform.run("project", "import", P, *given)
    assert (result.code, why in result.err) == (code, True), result.err
    assert items(platform) == before


def test_imported_data_is_the_projects_alone(platform: Platform, kube: Kube, ids: dict[str, Any]) -> None:
    """Killed in the middle, and run again: the same result."""
    wanted = ("experiment/work", "model/clf-default")
    platform.killed("project", "import", P, *wanted, after=6)
    moved = platform.ok("project", "import", P, *wanted, "--output", "json").envelope["data"]["moved"]
    assert [line.partition(":")[0] for line in moved] == list(wanted)
    seen = printed(run(kube, read_job(kube, ids, P)))
    assert seen == {
        "run": {"project": "default"},
        "file": "secret of default",
        "trace": True,
        "predicted": [0, 1],
        "versions": ["1"],
        "where": f"mlflow-artifacts:/workspaces/{P}",
    }
    assert not [item for item in wanted if item in items(platform)]
    for project, workspace in ((P, "default"), (OTHER, "")):
        left = printed(run(kube, read_job(kube, ids, project, workspace)))
        assert set(left.values()) == {"no"}, left
    again = platform.ok("project", "import", P, *wanted)
    assert "experiment/work" in again.out


def test_import_of_a_taken_name_is_refused(platform: Platform, kube: Kube, ids: dict[str, Any]) -> None:
    run(kube, before_job(kube))
    run(kube, in_default(kube, client_job("data", P, image_of(kube))))
    result = platform.run("project", "import", P, "experiment/work", "model/clf-default")
    assert result.code == 5
    assert result.err.count("has another one of this name") == 2
    assert {"experiment/work", "model/clf-default"} <= items(platform).keys()
