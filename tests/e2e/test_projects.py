"""Projects through the command line: isolation at the API server, kills, running Jobs, stuck finalizers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube, KubeError

from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e
ONE, TWO = "team-one", "team-two"
JOB = {
    "backoffLimit": 0,
    "template": {
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "fit",
                    "command": ["python3", "-c", "import time; time.sleep(600)"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        }
    },
}


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(Path(platform.ok("kubeconfig").out.strip()))


@pytest.fixture(scope="module")
def pair(platform: Platform, kube: Kube) -> Iterator[None]:
    """Two projects; those of this file that the tests leave are removed."""
    platform.ok("project", "add", ONE, "--member", "data-scientists:edit", "--quota", "cpu=2,gpu=1")
    platform.ok("project", "add", TWO, "--member", "user/ann:view")
    yield
    for name in names(platform):
        platform.ok("project", "remove", name, "--yes", "--force")


def names(platform: Platform) -> list[str]:
    """The projects of this file: the platform has one more, for all files (conftest.py)."""
    found = platform.ok("project", "list", "--output", "json").envelope["data"]["projects"]
    return [each["name"] for each in found if each["name"].startswith("team-")]


def test_projects_are_listed_with_members_and_quota(platform: Platform, pair: None) -> None:
    found = platform.ok("project", "show", ONE, "--output", "json").envelope["data"]["project"]
    assert found["members"] == ["data-scientists:edit"]
    assert (found["quota"]["cpu"], found["quota"]["memory"], found["quota"]["gpu"]) == ("2", "8Gi", "1")
    assert found["running"] == []
    assert names(platform) == [ONE, TWO]
    assert {ONE, TWO} <= set(platform.ok("status", "--output", "json").envelope["data"]["projects"])


def test_up_changes_no_project_that_is_right(platform: Platform, pair: None) -> None:
    assert platform.ok("up", "--output", "json").envelope["data"]["changed"] == 0


def test_account_of_a_project_sees_its_own_namespace_only(platform: Platform, kube: Kube, pair: None) -> None:
    """Real requests with a token as the API server gives it to pods that ask for one."""
    trainer = Kube(kube.kubeconfig, lambda: kube.token(ONE, "trainer"))
    assert trainer.list("v1", "Pod", ONE) == []
    for kind, namespace in (
        ("Secret", ONE),
        ("Pod", TWO),
        ("Secret", TWO),
        ("Secret", "mlflow"),
        ("Pod", ""),
    ):
        with pytest.raises(KubeError) as refused:
            trainer.list("v1", kind, namespace)
        assert refused.value.status == 403
    with pytest.raises(KubeError) as refused:
        trainer.patch("v1", "Namespace", ONE, body={"metadata": {"labels": {"mlops-platform/project": "x"}}})
    assert refused.value.status == 403


def add_job(kube: Kube, namespace: str) -> None:
    """A Job that runs for minutes, in an image with Python that the node has."""
    (node, *_) = kube.list("v1", "Node")
    names = [name for each in node["status"]["images"] for name in each["names"]]
    image = next(name for name in names if "toolbox" in name)
    template: Any = JOB["template"]
    container = template["spec"]["containers"][0] | {"image": image}
    spec = {**JOB, "template": {"spec": {**template["spec"], "containers": [container]}}}
    meta = {"name": "fit", "namespace": namespace}
    kube.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": spec})


def test_remove_waits_for_force_while_a_job_runs(platform: Platform, kube: Kube, pair: None) -> None:
    add_job(kube, ONE)
    refused = platform.run("project", "remove", ONE, "--yes", "--output", "json")
    assert refused.code == 2
    error = refused.envelope["error"]
    assert error["why"] == "Job fit"
    assert error["command"] == f"mlops-platform project remove {ONE} --force --env {platform.name}"
    assert kube.get("batch/v1", "Job", "fit", ONE), "nothing was changed"
    platform.ok("project", "remove", ONE, "--yes", "--force")
    assert kube.get("v1", "Namespace", ONE) is None
    assert names(platform) == [TWO]


def test_add_killed_in_the_middle_is_completed_by_the_same_command(
    platform: Platform, kube: Kube, pair: None
) -> None:
    """The kill is in the Job of a component, which takes a second at least."""
    process = platform.start("project", "add", "team-killed", "--member", "viewers:view")
    assert process.stderr
    for line in process.stderr:
        if "▸" in line and "/projects" in line:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the command ended before the kill"
    again = platform.ok("project", "add", "team-killed", "--output", "json").envelope["data"]
    assert again["project"]["members"] == ["viewers:view"], "the record was written first"
    assert again["changed"] > 0
    assert platform.ok("project", "add", "team-killed", "--output", "json").envelope["data"]["changed"] == 0


def test_stuck_finalizer_stops_the_removal_until_it_is_gone(
    platform: Platform, kube: Kube, pair: None
) -> None:
    meta = {"name": "held", "namespace": TWO, "finalizers": ["example.com/controller-is-gone"]}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    stuck = platform.run("project", "remove", TWO, "--yes", "--output", "json")
    assert stuck.code == 5
    error = stuck.envelope["error"]
    assert error["why"] == "ConfigMap held: finalizer example.com/controller-is-gone"
    assert f"--namespace {TWO} patch configmap held --type merge" in error["command"]
    kube.patch("v1", "ConfigMap", "held", TWO, body={"metadata": {"finalizers": None}})
    again = platform.run("project", "remove", TWO, "--yes")
    assert again.code in (0, 2), "2: the namespace was gone before the command looked"
    assert kube.get("v1", "Namespace", TWO) is None
