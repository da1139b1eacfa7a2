"""The needs of an environment, compared with the machine that carries it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.clusters.host import checks
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.steps.room import room, room_checks

GIBIBYTE = 2**30


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    return tmp_path


def made(folder: Path, **components: dict[str, Any]) -> Context:
    text = {
        "name": "sized",
        "domain": "mlops.test",
        "cluster": {"provider": "host"},
        "components": components,
    }
    (folder / "sized.yaml").write_text(json.dumps(text))
    return read_only(open_environment(str(folder / "sized.yaml")))


def test_needs_are_those_of_components_of_the_largest_job_and_of_the_node(home: Path) -> None:
    machine = checks.machine()
    few = room(made(home, postgres={"memory": "1Gi", "cpu": "1"}), machine)
    more = room(made(home, postgres={"memory": "3Gi", "cpu": "2500m"}), machine)
    assert more.memory - few.memory == 2 * GIBIBYTE and more.cores - few.cores == pytest.approx(1.5)
    job = few.memory - machine.own_memory - GIBIBYTE
    assert 0 < job < GIBIBYTE, "a Job of the smoke test runs beside"


def test_environment_that_does_not_fit_is_a_failure_with_both_figures(home: Path) -> None:
    found = {check.name: check for check in room_checks(made(home, postgres={"memory": "900Gi"}))}
    assert (found["memory"].status, found["CPU"].status) == ("failure", "ok")
    assert found["memory"].seen.startswith("needs 90")
    assert "some pods would never start" in found["memory"].why
    found = {check.name: check for check in room_checks(made(home, postgres={"cpu": "500"}))}
    assert (found["memory"].status, found["CPU"].status) == ("ok", "failure")


@pytest.mark.parametrize(("name", "gibibytes"), [("local", 16), ("local-small", 8)])
def test_shipped_environment_fits_its_machine(name: str, gibibytes: int) -> None:
    needed = room(read_only(open_environment(name)), checks.machine())
    assert needed.memory <= gibibytes * GIBIBYTE and needed.cores <= 2


def test_cluster_whose_nodes_come_and_go_has_no_such_check() -> None:
    assert room_checks(read_only(open_environment("staging"))) == []
