"""The order of a rotation: every consumer has the new value before the smoke test."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.engine.graph import Graph
from mlops_platform.plan_rotate import plan_rotation
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment
from mlops_platform.steps.secrets.rotation import RotatableSecret


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path))


def graph(component: str, *secrets: str) -> Graph:
    chosen = [RotatableSecret(component, name, "generated") for name in secrets]
    return plan_rotation(read_only(open_environment("local")), component, chosen, new=True)


def ids(found: Graph) -> list[str]:
    return [step.id for step in found.steps]


def test_old_proxy_secret_ends_when_the_gateway_has_the_new_one() -> None:
    found = graph("airflow", "keys", "proof")
    order = ["airflow/rotate-proof", "airflow/release", "gateway/proofs", "gateway/release"]
    order += ["gateway/old-pods", "airflow/old-proof", "gateway/smoke"]
    places = [ids(found).index(each) for each in order]
    assert places == sorted(places)


def test_other_secrets_do_not_change_gateway() -> None:
    assert not [each for each in ids(graph("airflow", "keys")) if each.startswith("gateway/")]
