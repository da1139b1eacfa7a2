"""The image of pipelines: its packages, KFP's version and default image, and the context of a step's runs."""

from __future__ import annotations

import re

import pytest
import yaml
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog

from tests import ROOT
from tests.unit.helm_values.pods import modules

PATHS = Paths.default()
PINS = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
CASES = sorted((ROOT / "tests/cases/pipelines").glob("*.yaml"))


def pins(path: str) -> dict[str, str]:
    return dict(PINS.findall((ROOT / path).read_text()))


def test_no_package_of_the_base_is_installed_again() -> None:
    assert not pins("images/ml/requirements.txt").keys() & pins("images/pipeline/requirements.txt").keys()


def test_overridden_versions_are_those_of_the_base() -> None:
    base, overridden = pins("images/ml/requirements.txt"), pins("images/pipeline/overrides.txt")
    assert overridden and {name: base[name] for name in overridden} == overridden


def test_packages_of_an_image_are_those_of_its_bases_too() -> None:
    folders = find_recipes(PATHS.assets / "images", PATHS.assets / "helm-values")
    found = Images(PATHS.cache, Programs(PATHS.cache), folders).packages("pipeline")
    assert found == pins("images/ml/requirements.txt") | pins("images/pipeline/requirements.txt")


def test_compiled_cases_are_of_the_sdk_in_the_image_and_of_its_default_base_image() -> None:
    [part] = [
        each.component.pipelines
        for each in read_catalog(PATHS.assets / "helm-values").entries.values()
        if each.component.pipelines
    ]
    compiled = [each for each in map(yaml.safe_load, (f.read_text() for f in CASES)) if "sdkVersion" in each]
    sdk = pins("images/pipeline/requirements.txt")["kfp"]
    assert len(compiled) > 5 and {each["sdkVersion"] for each in compiled} == {f"kfp-{sdk}"}
    images = {
        each["container"]["image"]
        for pipeline in compiled
        for each in pipeline["deploymentSpec"]["executors"].values()
        if "container" in each and "acme" not in str(each) and "alpine" not in str(each)
    }
    assert images == {"python:3.11"} <= set(part.base_images)


def test_runs_of_a_step_are_below_the_run_of_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    with modules(ROOT / "images/pipeline", ["platform_pipeline"]) as found:
        context = found["platform_pipeline"].StepContext()
    assert not context.in_context(), "notebooks have this file too"
    monkeypatch.setenv("PLATFORM_PIPELINE_RUN", "r1")
    monkeypatch.setenv("PLATFORM_PIPELINE_STEP", "train.0")
    assert context.in_context()
    assert context.tags() == {
        "mlflow.parentRunId": "r1",
        "mlflow.runName": "train.0",
        "pipeline.step": "train.0",
    }
