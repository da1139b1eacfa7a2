"""Proves the order of a rotation: every place that holds a value has the new one before its proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.engine.graph import Graph
from mlops_platform.plan_rotate import plan_rotation
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment
from mlops_platform.steps.secrets.rotation import RotatableSecret


@pytest.fixture(autouse=True)
def _a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path))


def graph(component: str, *secrets: str) -> Graph:
    chosen = [RotatableSecret(component, name, "generated") for name in secrets]
    return plan_rotation(read_only(open_environment("local")), component, chosen, new=True)


def ids(found: Graph) -> list[str]:
    return [step.id for step in found.steps]


def test_a_new_proof_is_at_the_way_in_before_a_login_is_proven() -> None:
    found = graph("airflow", "keys", "proof")
    order = ["airflow/rotate-proof", "airflow/release", "gateway/proofs", "gateway/release", "gateway/smoke"]
    places = [ids(found).index(each) for each in order]
    assert places == sorted(places)


def test_other_secrets_leave_the_way_in_alone() -> None:
    assert not [each for each in ids(graph("airflow", "keys")) if each.startswith("gateway/")]
