"""The test of GPUs: an empty pool is skipped, and a refusal counts only if the quota is its reason."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.base.labels import GPU
from mlops_platform.run.context import Context
from mlops_platform.smoke.gpus import SKIPPED, GpusTest, allocatable


def cluster(*gpus: str, error: KubeError | None = None) -> Kube:
    """A cluster whose nodes have so many GPUs; pods are created, or rejected with an error."""
    nodes = [{"status": {"allocatable": {GPU: each} if each else {}}} for each in gpus]

    def create(_: Any) -> None:
        if error:
            raise error

    return cast(Kube, SimpleNamespace(list=lambda *_: nodes, create=create))


def context(simulated: str = "") -> Context:
    images = SimpleNamespace(reference=lambda name: f"local/{name}:1")
    return cast(Context, SimpleNamespace(cluster=SimpleNamespace(simulated=simulated), images=images))


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


def test_pod_requests_a_gpu_and_tolerates_the_taint_of_gpu_nodes() -> None:
    spec = GpusTest(context())._pod("project", "one", 1)["spec"]
    assert spec["containers"][0]["resources"]["limits"][GPU] == "1"
    assert spec["tolerations"] == [{"key": GPU, "operator": "Exists"}]
    assert spec["serviceAccountName"] == "trainer"


def test_hardware_and_simulated_gpus_have_other_results() -> None:
    assert GpusTest(context()).digest != GpusTest(context("4 simulated GPUs")).digest
