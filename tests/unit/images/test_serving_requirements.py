"""Packages that a model needs, compared with those that are installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from platform_serving.requirements import compare  # type: ignore[import-not-found]

PYTEST = metadata.version("pytest")


def test_missing_and_other_versions_are_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(
        f"pytest=={PYTEST}\n# a comment\n--index-url x\nno-such-package==3.1.2  # needed\n"
        "pytest<1\n./local\nno-such-other\nno-such-either; python_version < '3'\n"
    )
    found = compare(tmp_path / "requirements.txt")
    assert found.missing == (
        "model needs no-such-package 3.1.2, the runtime has none",
        "model needs no-such-other, the runtime has none",
    )
    assert found.other == (f"model needs pytest <1, the runtime has {PYTEST}",)


def test_client_of_mlflow_is_enough_for_models_that_name_mlflow(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text(f"mlflow=={metadata.version('mlflow-skinny')}\n")
    assert compare(tmp_path / "requirements.txt").missing == ()


def test_model_without_requirements_is_fine(tmp_path: Path) -> None:
    assert compare(tmp_path / "requirements.txt").missing == ()
