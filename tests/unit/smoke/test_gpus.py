"""The test of GPUs: an empty pool is skipped, and a refusal counts only if the quota is its reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.labels import GPU
from mlops_platform.run.context import Context
from mlops_platform.smoke import gpus
from mlops_platform.smoke.gpus import SKIPPED, GpusTest, allocatable


def cluster(*there: str, error: KubeError | None = None) -> Kube:
    """A cluster whose nodes have so many GPUs; pods are created, or rejected with an error."""
    nodes = [{"status": {"allocatable": {GPU: each} if each else {}}} for each in there]

    def create(_: Any) -> None:
        if error:
            raise error

    return cast(Kube, SimpleNamespace(list=lambda *_: nodes, create=create))


def context(simulated: str = "") -> Context:
    images = SimpleNamespace(reference=lambda name: f"local/{name}:1")
    cluster = SimpleNamespace(simulated=simulated)
    return cast(Context, SimpleNamespace(cluster=cluster, images=images, cancel=Cancel()))


def test_gpus_of_all_nodes_are_counted() -> None:
    assert allocatable(cluster("4", "", "2")) == 6


def test_empty_pool_is_skipped_with_the_flag_that_starts_a_node() -> None:
    notes: list[str] = []
    assert GpusTest(context()).run(cluster(""), cast(Any, SimpleNamespace(note=notes.append))) == []
    assert notes == [SKIPPED]


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (KubeError("no", status=403, why=f"exceeded quota: project, requested: {GPU}=1"), ""),
        (KubeError("no", status=403, why="pods is forbidden"), "pods is forbidden"),
        (KubeError("no", status=500, why="exceeded quota"), "exceeded quota"),
        (None, "it was allowed"),
    ],
)
def test_second_pod_must_be_refused_because_of_the_quota(error: KubeError | None, wrong: str) -> None:
    assert GpusTest(context())._over_quota(cluster("1", error=error), "project") == wrong


@pytest.mark.parametrize(
    ("phase", "log", "detail"),
    [
        ("Running", "GPU GPU 0: NVIDIA L4", ""),
        ("Pending", "", "pod with a GPU: Pending"),
        ("Failed", "nvidia-smi: not found", "pod with a GPU: Failed nvidia-smi: not found"),
    ],
)
def test_node_of_an_empty_pool_is_waited_for_with_the_flag(
    phase: str, log: str, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On hardware there is no test with more GPUs than there are: it would start another node."""
    monkeypatch.setattr(gpus, "_NODE_SECONDS", 0.0)
    error = KubeError("no", status=403, why="exceeded quota")
    kube = cluster("")
    pods: list[Any] = []

    def create(pod: Any) -> None:
        pods.append(pod)
        if len(pods) > 1:
            raise error

    state = {"status": {"phase": phase}}
    there = {"get": lambda *_: state, "logs": lambda *_: log, "kubectl": lambda *_: "", "create": create}
    vars(kube).update(there)
    progress = cast(Any, SimpleNamespace(say=lambda _: None))
    first, second = GpusTest(context(), wake=True)._probes(kube, progress, "project", 0)
    assert (first.ok, second.ok) == (not detail, True)
    assert detail in first.detail and "simulated" not in first.name


def test_pod_requests_a_gpu_and_tolerates_the_taint_of_gpu_nodes() -> None:
    spec = GpusTest(context())._pod("project", "one", 1)["spec"]
    assert spec["containers"][0]["resources"]["limits"][GPU] == "1"
    assert spec["tolerations"] == [{"key": GPU, "operator": "Exists"}]
    assert spec["serviceAccountName"] == "trainer"


def test_hardware_and_simulated_gpus_have_other_results() -> None:
    assert GpusTest(context()).digest != GpusTest(context("4 simulated GPUs")).digest
