"""Tests of recipes: every problem is reported with its line, in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.adapters.images.parts import parts
from mlops_platform.adapters.images.recipe import Read, Recipe, find_recipes, read_recipes, requirements
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.errors import ConfigurationError, Exit
from mlops_platform.base.paths import Paths

import tests

CASES = tests.CASES / "images"
ASSETS = Paths.default().assets


def test_problems_of_all_recipes_are_reported_in_one_pass(update_golden: bool) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_recipes(find_recipes(CASES / "wrong"))
    assert caught.value.exit_code == Exit.CONFIGURATION
    seen = "".join(f"{problem}\n" for problem in sorted(caught.value.problems)).replace(f"{CASES}/", "")
    expected = CASES / "wrong.problems"
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()


def test_name_in_two_folders_is_a_problem(tmp_path: Path) -> None:
    for place in ("a/app", "b/app"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "image.yaml").write_text("name: app\n")
    with pytest.raises(ConfigurationError, match="1 problem") as caught:
        find_recipes(tmp_path / "a", tmp_path / "b")
    assert "image app: there are two" in caught.value.why


def test_shipped_recipes_have_no_problem() -> None:
    found = find_recipes(
        ASSETS / "images",
        ASSETS / "helm-values",
        *(ASSETS / "installer/mlops_platform/clusters").glob("*/images"),
    )
    read = read_recipes(found)
    assert len(read) >= 8
    unprivileged = {name for name, each in read.items() if each.recipe.user}
    assert set(read) - unprivileged == {"debian", "python"}, "only bases may run as root"


def test_requirements_are_read_like_pip(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# head\n-i somewhere\na==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb  # tail\n\nb==2\n"
    )
    assert [(n, text.split()) for n, text in requirements(file)] == [
        (3, ["a==1", "--hash=sha256:aa", "--hash=sha256:bb"]),
        (7, ["b==2"]),
    ]


def test_program_is_laid_out_as_in_its_wheel_and_changes_the_image(tmp_path: Path) -> None:
    (tmp_path / "image.yaml").write_text("name: app\nprogram: /opt\n")
    read = Read(Recipe.model_validate({"name": "app", "program": "/opt"}), tmp_path)
    (part,) = parts([read], Programs(tmp_path))
    inside = part.inputs["program"]
    wanted = ("cli/__init__.py", "_data/helm-values/mlflow/component.yaml", "charts/service/values.yaml")
    assert {f"/opt/mlops_platform/{each}" for each in wanted} <= inside.keys()
    assert not [
        path for path in inside if "__pycache__" in path or "/_data/helm-values/kserve/program/" in path
    ]
