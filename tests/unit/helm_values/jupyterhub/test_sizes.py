"""Sizes of notebooks, and the share of the quota that one person's notebook may have."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules

QUOTA = {"requests.cpu": "4", "limits.memory": "8Gi", "requests.nvidia.com/gpu": "1"}


@pytest.fixture(scope="module")
def sizes() -> Iterator[ModuleType]:
    with modules(ROOT / "helm-values/jupyterhub", ["sizes"]) as found:
        yield found["sizes"]


def test_sizes_come_from_the_environment_the_smallest_first(sizes: ModuleType) -> None:
    found = sizes.sizes_of(
        {
            "SIZE_GPU": "cpu=500m-4 memory=8Gi gpu=1",
            "SIZE_SMALL": "cpu=100m-1 memory=1Gi",
            "SIZE_VERY_LARGE": "cpu=1-8 memory=64Gi",
            "HOME": "/tmp",
        }
    )
    assert list(found) == ["small", "very-large", "gpu"]
    assert found["gpu"].limits == {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"}
    assert found["small"].requests == {"cpu": "100m", "memory": "1Gi"}


def test_every_wrong_size_is_named(sizes: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"SIZE_A: 'cpu=1'.*SIZE_B: 'memory=1Gi'"):
        sizes.sizes_of({"SIZE_A": "cpu=1", "SIZE_B": "memory=1Gi"})
    with pytest.raises(ValueError, match="no size"):
        sizes.sizes_of({})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cpu=2-2 memory=4Gi", ""),
        ("cpu=100m-1 memory=5Gi", "limits.memory 5Gi is more than 50 % of the project's quota of 8Gi"),
        ("cpu=2500m-4 memory=1Gi", "requests.cpu 2500m is more than 50 % of the project's quota of 4"),
        ("cpu=100m-1 memory=1Gi gpu=1", ""),
        ("cpu=100m-1 memory=1Gi gpu=2", "requests.nvidia.com/gpu 2 is more than the project's quota of 1"),
    ],
)
def test_one_person_gets_a_share_of_the_quota(sizes: ModuleType, text: str, reason: str) -> None:
    (size,) = sizes.sizes_of({"SIZE_X": text}).values()
    assert size.problem(QUOTA, 50) == reason


def test_project_without_gpus_refuses_sizes_with_one(sizes: ModuleType) -> None:
    (size,) = sizes.sizes_of({"SIZE_X": "cpu=100m-1 memory=1Gi gpu=1"}).values()
    assert "quota of 0" in size.problem({**QUOTA, "requests.nvidia.com/gpu": "0"}, 50)


@pytest.mark.parametrize("text", ["599", "0", "-1", "1h", "", "²"])
def test_short_time_of_idleness_is_refused(sizes: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match=r"IDLE_SECONDS: .* is not a number from 600"):
        sizes.number({"IDLE_SECONDS": text}, "IDLE_SECONDS", 600, 86400)
    assert sizes.number({"IDLE_SECONDS": "600"}, "IDLE_SECONDS", 600, 86400) == 600
