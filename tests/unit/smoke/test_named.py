"""Smoke tests with a name, and those that require other components."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.base.errors import UsageError
from mlops_platform.plan import plan_smoke, plan_up
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.smoke.component import component_tests

from tests import ROOT

SCRIPT = (ROOT / "tests/cases/components/smoke/long/smoke.py").read_text()


def component(name: str, *smoke: dict[str, Any]) -> dict[str, Any]:
    short = {"script": "smoke.py", "survives": [f"deployment/{name}"]}
    return {
        "name": name,
        "layer": "data",
        "summary": "a component of a test",
        "version": "1.0.0",
        "namespace": name,
        "serves": {"http": {"port": 80}},
        "embedded": {"image": "toolbox"},
        "smoke": [short, *smoke],
        "resources": {"cpu": "100m", "memory": "64Mi"},
    }


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """`client` has tests that require `server`; one of them also requires a component that is not chosen."""
    made = [
        component(
            "client",
            {"script": "smoke.py", "requires": ["server"]},
            {"script": "smoke.py", "name": "load", "long": True, "requires": ["server"]},
            {"script": "smoke.py", "name": "both", "long": True, "requires": ["server", "absent"]},
        ),
        component("server"),
        component("absent"),
    ]
    for each in made:
        folder = tmp_path / "components" / each["name"]
        folder.mkdir(parents=True)
        (folder / "component.yaml").write_text(json.dumps(each))
        (folder / "service.yaml").write_text('{"kind": "Deployment", "command": ["sleep"]}')
        (folder / "smoke.py").write_text(SCRIPT)
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLOPS_PLATFORM_COMPONENTS", str(tmp_path / "components"))
    chosen: dict[str, Any] = {"client": {}, "server": {}}
    text = {"name": "named", "domain": "mlops.test", "cluster": {"provider": "host"}, "components": chosen}
    (tmp_path / "named.yaml").write_text(json.dumps(text))
    return read_only(open_environment(str(tmp_path / "named.yaml")))


def test_short_smoke_test_runs_after_the_tests_of_what_it_requires(work: Context) -> None:
    steps = plan_up(work).requires
    assert "server/smoke" in steps["client/smoke"]
    assert "server/smoke" not in steps["client/release"], "only the test waits"
    assert not {"load/smoke", "both/smoke"} & set(steps)


def test_named_smoke_test_runs_alone(work: Context) -> None:
    graph = plan_smoke(work, ["load"])
    assert [step.id for step in graph.steps] == ["load/smoke"]
    (only,) = [step.test.specs for step in graph.steps]  # type: ignore[attr-defined]
    assert [spec.name for spec in only] == ["load"]


def test_component_named_for_smoke_leaves_out_long_tests_with_a_name(work: Context) -> None:
    specs = component_tests(work, whole=["client"])["client"].specs
    assert [spec.name for spec in specs] == ["", ""]


def test_named_smoke_test_without_a_required_component_is_an_error(work: Context) -> None:
    with pytest.raises(UsageError, match="the smoke test both needs absent"):
        plan_smoke(work, ["both"])
