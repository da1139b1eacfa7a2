"""TrainJobs and runtimes that Trainer accepts or refuses in a project, by case file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube, KubeError

from tests import CASES
from tests.e2e.platform import Platform
from tests.e2e.training.jobs import TRAINJOB, refused

pytestmark = pytest.mark.e2e

PROJECT, KEPT = "train-admission", "kept"
ON_PYTHON = {"runtimeRef": {"name": "python"}}
POD = {"restartPolicy": "Never", "containers": [{"name": "node", "image": "example.com/none"}]}
STEP = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
NODE = {"metadata": {"labels": STEP}, "spec": {"template": {"spec": POD}}}
RUNTIME = {"spec": {"replicatedJobs": [{"name": "node", "template": NODE}]}}
FOUND: list[dict[str, Any]] = yaml.safe_load((CASES / "training/admission.yaml").read_text())


@pytest.fixture(scope="module")
def member(platform: Platform) -> Iterator[Kube]:
    """The account of training jobs; a suspended TrainJob is in its project."""
    platform.ok("project", "add", PROJECT)
    kube = Kube(platform.state / "kubeconfig")
    trainer = {"command": ["python3", "-c", "print(1)"]}
    kube.create(named("TrainJob", KEPT, {**ON_PYTHON, "trainer": trainer, "suspend": True}))
    yield Kube(kube.kubeconfig, lambda: kube.token(PROJECT, "trainer"))
    platform.ok("project", "remove", PROJECT, "--yes", "--force")


def named(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": PROJECT}
    return {"apiVersion": TRAINJOB[0], "kind": kind, "metadata": meta, "spec": spec}


def send(member: Kube, case: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec that the API server answers."""
    if "update" in case:
        return dict(member.patch(*TRAINJOB, KEPT, PROJECT, body={"spec": case["update"]})["spec"])
    if "job" in case:
        made = named("TrainJob", case.get("name", "fit"), {**ON_PYTHON, **case["job"]})
    else:
        made = named("TrainingRuntime", "own", {**case["runtime"], "template": RUNTIME})
    return dict(member.create(made, dry_run=True)["spec"])


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case["case"])
def test_trainer_answers_as_in_the_case(member: Kube, case: dict[str, Any]) -> None:
    try:
        answer = send(member, case)
    except KubeError as error:
        assert "refused" in case and error.status in (403, 422), error
        assert case["refused"] in f"{error.what} {error.why}"
        return
    assert "refused" not in case, answer
    assert {key: answer.get(key) for key in case.get("has", {})} == case.get("has", {})


@pytest.mark.parametrize("name", ["system-cluster-critical", "system-node-critical"])
def test_pod_that_would_displace_the_platform_is_refused(member: Kube, name: str) -> None:
    """Pods of these priority classes evict others where a node is full."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}}
    container = {
        "name": "main",
        "image": "example.com/none",
        "securityContext": security,
        "resources": resources,
    }
    profile = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "first", "namespace": PROJECT},
        "spec": {"containers": [container], "securityContext": profile},
    }
    member.create(pod, dry_run=True)
    pod["spec"] = {**pod["spec"], "priorityClassName": name}
    assert "exceeded quota: critical-pods" in refused(lambda: member.create(pod, dry_run=True))
