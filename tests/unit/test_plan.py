"""The plan of `up`, made from an environment file; no cluster is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlops_platform.plan import plan_up
from mlops_platform.plan_images import image_names, in_loading_order
from mlops_platform.report.summary import news
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.steps.release.objects import wanted

BEHIND_UIS = ["vault", "postgres", "minio", "mlflow", "oauth2-proxy", "gateway"]
LATE = "model-routes"  # its UI is behind the gateway, and it requires the gateway
OPERATORS = ["jobset", "trainer", "kserve", "metrics-server"]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """An environment that lists its operators first."""
    return opened(tmp_path, monkeypatch)


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **specs: object) -> Context:
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    components: dict[str, object] = {name: {} for name in [*OPERATORS, LATE, *BEHIND_UIS]} | specs
    text = {
        "name": "ordered",
        "domain": "mlops.test",
        "cluster": {"provider": "host"},
        "components": components,
    }
    (tmp_path / "ordered.yaml").write_text(json.dumps(text))
    return read_only(open_environment(str(tmp_path / "ordered.yaml")))


def test_images_of_operators_are_built_after_those_behind_uis(work: Context) -> None:
    names = image_names(work)
    first = min(names.index(name) for name in [*OPERATORS, LATE])
    assert all(names.index(name) < first for name in BEHIND_UIS)
    programs = [id_ for id_ in plan_up(work).requires if id_.startswith("program/")]
    assert programs.index("program/oauth2-proxy") < programs.index("program/kserve")


def test_image_that_only_commands_of_people_use_is_loaded_last(work: Context) -> None:
    assert in_loading_order(work)[-1] == "pipeline"
    requires = plan_up(work).requires
    waiting = [step for step, needed in requires.items() if "cluster/image-pipeline" in needed]
    assert waiting == []


def test_uis_are_announced_when_the_ingress_is_verified(work: Context) -> None:
    assert news(work) == {
        "gateway/smoke": ["✔ mlflow answers: https://mlflow.mlops.test"],
        "model-routes/smoke": ["✔ model-routes answers: https://models.mlops.test"],
    }
    assert "gateway/smoke" in plan_up(work).requires


def test_ingress_does_not_wait_for_a_ui_that_requires_it_but_has_its_secret(work: Context) -> None:
    requires = plan_up(work).requires
    before = set[str]()
    left = ["gateway/smoke"]
    while left:
        left += (more := set(requires[left.pop()]) - before)
        before |= more
    assert f"{LATE}/namespace" in before  # its Secrets are made there
    assert not {f"{LATE}/release", "kserve/release"} & before
    assert "gateway/smoke" in requires[f"{LATE}/release"]


def test_extra_is_built_and_tested_only_where_it_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without, chosen = (opened(tmp_path, monkeypatch, trainer={"extras": each}) for each in ([], ["torch"]))
    assert set(image_names(chosen)) - set(image_names(without)) == {"torch"}
    names = [[each["metadata"]["name"] for each in wanted(c.resolved["trainer"])] for c in (without, chosen)]
    assert [*names[0], "torch"] == names[1]
    scripts = [spec.script for spec in chosen.resolved["trainer"].component.smoke]
    assert "smoke_torch.py" in scripts


def test_kustomize_is_built_only_for_a_release_that_it_renders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = plan_up(opened(tmp_path, monkeypatch)).requires
    requires = plan_up(opened(tmp_path, monkeypatch, katib={})).requires
    needing = {step for step, before in requires.items() if "program/kustomize" in before}
    assert "program/kustomize" not in without and needing == {"katib/release"}
