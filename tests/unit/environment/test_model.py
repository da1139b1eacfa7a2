"""Tests of the environment file: every problem is reported with its line, in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.errors import ConfigurationError, Exit, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment import file as environment
from mlops_platform.run.open import shipped_environments

import tests

CASES = tests.CASES / "environments"
CATALOG = read_catalog(Paths.default().assets / "helm-values")


def problems_of(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        environment.read(path, CATALOG, clusters.options_models(), beside=path.parent)
    assert caught.value.exit_code == Exit.CONFIGURATION
    texts = [str(p) for p in sorted(caught.value.problems)]
    return [text.replace(f"{path}:", "").replace(f"{path.parent}/", "") for text in texts]


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yaml")), ids=lambda p: p.stem)
def test_each_problem_is_reported_with_its_line(case: Path, update_golden: bool) -> None:
    """Each case has a .problems file with the lines that a user sees."""
    seen = "\n".join(problems_of(case)) + "\n"
    expected = case.with_suffix(".problems")
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()


def test_file_with_twenty_mistakes_has_twenty_problems() -> None:
    assert len(problems_of(CASES / "twenty.yaml")) >= 20


@pytest.mark.parametrize("file", sorted(shipped_environments().glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_environment_has_no_problem(file: Path) -> None:
    assert environment.read(file, CATALOG, clusters.options_models()).environment.name == file.stem


def test_unknown_name_lists_known_names() -> None:
    with pytest.raises(UsageError) as caught:
        environment.find("stagign", shipped_environments())
    assert "local" in caught.value.why


def test_own_file_wins_over_shipped_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environments").mkdir()
    own = tmp_path / "environments/local.yaml"
    own.write_text("name: local\n")
    monkeypatch.chdir(tmp_path)
    assert environment.find("local", shipped_environments()).resolve() == own


def test_schema_describes_every_key() -> None:
    schema = environment.schema(clusters.options_models().values())
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "domain", "cluster", "components"}
