"""Pipelines and arguments that are refused before anything runs: every mistake, with its line and a hint."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.steps.pipelines import arguments, document, local

from tests import ROOT

CASES = ROOT / "tests/cases/pipelines"
REFUSED: dict[str, dict[str, Any]] = yaml.safe_load((CASES / "refused.yaml").read_text())
IMAGE = local.Image(["python:3.11"], {"kfp": "2.17.3", "pandas": "3.1.1", "scikit-learn": "1.9.1"})
Golden = Callable[[Path, str], None]


def check(file: Path, given: list[str]) -> dict[str, Any]:
    """Check as `pipeline run` does; return the values of the arguments."""
    pipeline = document.read(file)
    values, mistakes = arguments.parse(pipeline.inputs, given)
    document.refuse([*local.problems(pipeline, IMAGE), *mistakes])
    return values


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_every_mistake(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    case = REFUSED[name]
    monkeypatch.chdir(CASES)
    file = Path(case.get("file", ""))
    if "text" in case or "replace" in case:
        text: str = case["text"] if "text" in case else file.read_text()
        for old, new in case.get("replace", {}).items():
            text = text.replace(old, new)
        (tmp_path / "case.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        file = Path("case.yaml")
    with pytest.raises(ConfigurationError) as caught:
        check(file, case.get("arguments", []))
    golden(ROOT / f"tests/golden/pipelines/{name}.txt", f"{caught.value}\n{caught.value.why}\n")


@pytest.mark.parametrize(
    ("name", "given", "values"),
    [
        ("churn-training", [], {}),
        (
            "churn-training",
            ["rows=-3", "limit=1e-3", "rates=[0.5]", 'options={"a": []}', "dry=True", "owner=a=b, ä"],
            {
                "rows": -3,
                "limit": 0.001,
                "rates": [0.5],
                "options": {"a": []},
                "dry": True,
                "owner": "a=b, ä",
            },
        ),
        ("nested", [], {}),
        ("failing", ["file=/tmp/x"], {"file": "/tmp/x"}),
        ("quoted", ["word="], {"word": ""}),
        ("fail", ["rows=0"], {"rows": 0}),
    ],
)
def test_compiled_pipelines_are_accepted(name: str, given: list[str], values: dict[str, Any]) -> None:
    assert check(CASES / f"{name}.yaml", given) == values


def test_pipeline_of_the_smoke_test_is_accepted() -> None:
    [file] = (ROOT / "helm-values").glob("*/smoke_pipeline.yaml")
    assert check(file, ["limit=1"]) == {"limit": 1.0}


def test_pipeline_in_json_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(yaml.safe_load((CASES / "churn-training.yaml").read_text())))
    assert check(file, ["rows=1"]) == {"rows": 1}


def test_steps_are_named_as_the_runner_names_them() -> None:
    names = {step.name for step in document.read(CASES / "nested.yaml").steps}
    assert names == {"inner/note", "inner-2/note", "inner-3/note"}


@pytest.mark.parametrize("size", [document.MOST_BYTES + 1, 2 * 1024 * 1024])
def test_file_that_a_configmap_cannot_hold_is_refused(size: int, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text((CASES / "nested.yaml").read_text().ljust(size, "\n"))
    with pytest.raises(ConfigurationError) as caught:
        check(file, [])
    assert "a pipeline has at most 900 KiB" in caught.value.why
    file.write_text((CASES / "nested.yaml").read_text().ljust(document.MOST_BYTES, "\n"))
    assert check(file, []) == {}


def test_arguments_that_a_configmap_cannot_hold_are_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(CASES / "churn-training.yaml", [f"owner={'x' * document.MOST_ARGUMENTS}"])
    assert "more than 64 KiB in all" in caught.value.why


@pytest.mark.parametrize("text", ["[" * 60_000, "9" * 60_000, "\udcff"])
def test_argument_that_json_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        check(CASES / "churn-training.yaml", [f"rates={text}"])


@pytest.mark.parametrize("name", ["churn-training", "failing", "nested", "unsupported"])
def test_changed_file_is_refused_or_accepted(name: str, tmp_path: Path) -> None:
    """Any value in place of any other: never another error."""
    chosen = random.Random(name)
    whole = yaml.safe_load((CASES / f"{name}.yaml").read_text())
    file = tmp_path / "pipeline.yaml"
    for _ in range(60):
        changed = copy.deepcopy(whole)
        places = list(_places(changed))
        for node, key in chosen.sample(places, 2):
            node[key] = chosen.choice(
                [None, 0, 1.5, "", "text", [], [[]], {}, {"name": {}}, [{"a": []}], True]
            )
        file.write_text(json.dumps(changed))
        try:
            check(file, ["rows=1"])
        except ConfigurationError as error:
            assert error.problems


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from _places(node[key])
