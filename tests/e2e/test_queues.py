"""Queues of projects, a stopped Kueue, and simulated GPUs, on a node of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import GPU
from mlops_platform.smoke.canary import PROBE_IMAGE
from mlops_platform.smoke.gpus import allocatable

from tests.e2e.platform import Platform, running

# Kueue is in no shipped environment: its build takes 500 CPU-seconds, so these tests are part of `make soak`.
pytestmark = [pytest.mark.e2e, pytest.mark.soak]

COMPONENTS = ("jobset", "trainer", "kueue")
PROJECT, GPUS = "line", 4
KUEUE = "kueue.x-k8s.io/v1beta2"
LABEL = "kueue.x-k8s.io/queue-name"
OPERATOR = ("apps/v1", "Deployment", "kueue-controller-manager", "kueue")


@pytest.fixture(scope="module")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An environment with Kueue and simulated GPUs."""
    folder = tmp_path_factory.mktemp("queues")
    cluster = f"simulated_gpus: {GPUS}"
    with running("queues", folder, components=COMPONENTS, cluster=cluster) as made:
        yield made


@pytest.fixture(scope="module")
def kube(queues: Platform) -> Kube:
    return Kube(queues.state / "kubeconfig")


@pytest.fixture(scope="module")
def project(queues: Platform) -> Iterator[str]:
    queues.ok("project", "add", PROJECT, "--quota", "cpu=2,memory=4Gi,gpu=1")
    yield PROJECT
    queues.ok("project", "remove", PROJECT, "--yes", "--force")


@pytest.fixture
def stopped(kube: Kube) -> Iterator[None]:
    """Kueue without a pod, for the duration of a test."""
    _scale(kube, 0)
    yield
    _scale(kube, 1)


def _scale(kube: Kube, replicas: int, deployment: tuple[str, str, str, str] = OPERATOR) -> None:
    """Scale, and wait until as many pods are there and ready: a pod that ends may still answer."""
    kube.patch(*deployment, body={"spec": {"replicas": replicas}})

    def done() -> bool | Pending:
        ready = (kube.get(*deployment) or {})["status"].get("readyReplicas", 0)
        pods = len(kube.list("v1", "Pod", deployment[3]))
        return (ready, pods) == (replicas, replicas) or Pending(f"{ready} of {pods} ready")

    _wait(deployment[2], done)


def _wait(what: str, seen: Callable[[], bool | Pending]) -> None:
    wait_until(what, seen, seconds=120, cancel=Cancel())


def _image(kube: Kube) -> str:
    """The image of the smoke tests, as the node has it."""
    (node,) = kube.list("v1", "Node")
    names: list[str] = [name for image in node["status"]["images"] for name in image["names"]]
    return next(name for name in names if f"/{PROBE_IMAGE}:" in name)


def _pod(kube: Kube, cpu: str = "50m", gpus: int = 0) -> dict[str, Any]:
    limits = {"memory": "64Mi"} | ({GPU: str(gpus)} if gpus else {})
    container = {
        "name": "work",
        "image": _image(kube),
        "command": ["python3", "-c", "import os; print('has', os.environ.get('SIMULATED_GPUS'))"],
        "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}, "limits": limits},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return {"restartPolicy": "Never", "securityContext": security, "containers": [container]}


def _job(kube: Kube, name: str, queue: str = "", **pod: Any) -> dict[str, Any]:
    labels = {LABEL: queue} if queue else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": PROJECT, "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": _pod(kube, **pod)}},
    }


def _jobset(name: str, template: dict[str, Any]) -> dict[str, Any]:
    jobs = [{"name": "work", "replicas": 1, "template": template}]
    meta = {"name": name, "namespace": PROJECT}
    spec = {"replicatedJobs": jobs}
    return {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": meta, "spec": spec}


def _complete(kube: Kube, name: str) -> None:
    def done() -> bool | Pending:
        status = (kube.get("batch/v1", "Job", name, PROJECT) or {}).get("status", {})
        return bool(status.get("succeeded")) or Pending(str(status))

    _wait(f"Job {name}", done)


def test_second_up_is_a_no_op(queues: Platform) -> None:
    assert "nothing to do" in queues.ok("up", "--yes").out


def test_project_has_a_queue_with_its_quota(queues: Platform, kube: Kube, project: str) -> None:
    def quota() -> dict[str, str]:
        queue = kube.get(KUEUE, "ClusterQueue", project) or {}
        (group,) = queue["spec"]["resourceGroups"]
        return {each["name"]: each["nominalQuota"] for each in group["flavors"][0]["resources"]}

    assert quota() == {"cpu": "2", "memory": "4Gi", GPU: "1", "pods": "50"}
    queues.ok("project", "add", project, "--quota", "cpu=3")
    assert quota()["cpu"] == "3"
    queues.ok("project", "add", project, "--quota", "cpu=2")


def test_queue_of_a_removed_project_is_gone(queues: Platform, kube: Kube) -> None:
    queues.ok("project", "add", "short")
    assert kube.get(KUEUE, "ClusterQueue", "short")
    queues.ok("project", "remove", "short", "--yes")
    assert kube.get(KUEUE, "ClusterQueue", "short") is None


def test_job_without_a_queue_runs_while_kueue_is_stopped(kube: Kube, project: str, stopped: None) -> None:
    kube.create(_job(kube, "free"))
    _complete(kube, "free")


def test_job_for_a_queue_is_refused_while_kueue_is_stopped(kube: Kube, project: str, stopped: None) -> None:
    with pytest.raises(KubeError, match="500"):
        kube.create(_job(kube, "queued", "project"))
    assert kube.get("batch/v1", "Job", "queued", project) is None


def test_pod_of_a_jobset_runs_while_kueue_is_stopped(kube: Kube, project: str, stopped: None) -> None:
    template = {"spec": {"backoffLimit": 0, "template": {"spec": _pod(kube)}}}
    kube.create(_jobset("free-set", template))
    _complete(kube, "free-set-work-0")


def test_pod_of_a_running_jobset_starts_again_while_jobset_is_stopped(kube: Kube, project: str) -> None:
    """A pod with exclusive placement would need JobSet's webhook; others do not."""
    pod = _pod(kube)
    pod["containers"][0]["command"] = ["python3", "-c", "import threading; threading.Event().wait()"]
    template = {"spec": {"backoffLimit": 3, "template": {"spec": pod}}}
    kube.create(_jobset("lasting", template))
    selector = "jobset.sigs.k8s.io/jobset-name=lasting"

    def running(*but: str) -> bool | Pending:
        found = kube.list("v1", "Pod", project, labels=selector)
        states = {o["metadata"]["name"]: o["status"].get("phase") for o in found}
        return any(s == "Running" and n not in but for n, s in states.items()) or Pending(str(states))

    _wait("the pod of the JobSet", running)
    (first,) = (o["metadata"]["name"] for o in kube.list("v1", "Pod", project, labels=selector))
    jobset = ("apps/v1", "Deployment", "jobset-controller", "jobset")
    _scale(kube, 0, jobset)
    try:
        kube.delete("v1", "Pod", first, project)
        _wait("another pod", lambda: running(first))
    finally:
        _scale(kube, 1, jobset)
    kube.delete("jobset.x-k8s.io/v1alpha2", "JobSet", "lasting", project)


def test_job_over_the_quota_of_gpus_waits_and_says_why(queues: Platform, kube: Kube, project: str) -> None:
    kube.create(_job(kube, "greedy", "project", gpus=2))

    def reason() -> bool | Pending:
        found = kube.list(KUEUE, "Workload", project)
        said = [
            c["message"]
            for each in found
            if each["metadata"]["ownerReferences"][0]["name"] == "greedy"
            for c in each.get("status", {}).get("conditions") or []
            if (c["type"], c["status"]) == ("QuotaReserved", "False")
        ]
        return any(GPU in text for text in said) or Pending("; ".join(said))

    _wait("the reason of Job greedy", reason)
    jobs = queues.ok("job", "list", "--project", project, "--output", "json").envelope["data"]["jobs"]
    (row,) = [each for each in jobs if each["name"] == "greedy"]
    assert row["state"] == "waiting" and GPU in row["reason"], row
    assert (kube.get("batch/v1", "Job", "greedy", project) or {})["spec"]["suspend"] is True
    kube.delete("batch/v1", "Job", "greedy", project)


def test_node_has_simulated_gpus_and_says_so(queues: Platform, kube: Kube, project: str) -> None:
    assert allocatable(kube) == GPUS
    for command in (("status",), ("plan",)):
        assert f"{GPUS} simulated GPUs" in queues.ok(*command).out, command
    assert "simulated" in queues.ok("project", "show", project).out


def test_job_with_a_simulated_gpu_gets_its_name(kube: Kube, project: str) -> None:
    kube.create(_job(kube, "one-gpu", "project", gpus=1))
    _complete(kube, "one-gpu")
    (pod,) = kube.list("v1", "Pod", project, labels="batch.kubernetes.io/job-name=one-gpu")
    assert kube.logs(project, pod["metadata"]["name"]).startswith("has simulated-")


def test_long_smoke_tests_pass(queues: Platform) -> None:
    queues.ok("smoke", "kueue", "gang", "gpus")


def test_down_works_while_kueue_is_stopped(queues: Platform, kube: Kube, project: str) -> None:
    """The last test: `up` afterwards starts Kueue again, and nothing of it is lost."""
    _scale(kube, 0)
    queues.ok("down", "--yes", "--keep-data")
    queues.ok("up", "--yes")
    assert (kube.get(*OPERATOR) or {})["status"].get("readyReplicas") == 1
