"""Proves that every mistake in an environment file is named with its line, all in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.errors import ConfigurationError, Exit, UsageError
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.catalogue import read_catalog
from mlops_platform.environment import model as environment
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
def test_mistakes_are_named_with_their_lines(case: Path, update_golden: bool) -> None:
    """Each case has a .problems file beside it: the lines a user sees."""
    seen = "\n".join(problems_of(case)) + "\n"
    expected = case.with_suffix(".problems")
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()


def test_twenty_mistakes_are_twenty_problems() -> None:
    assert len(problems_of(CASES / "twenty.yaml")) >= 20


@pytest.mark.parametrize("file", sorted(shipped_environments().glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_environments_are_without_mistakes(file: Path) -> None:
    assert environment.read(file, CATALOG, clusters.options_models()).environment.name == file.stem


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        environment.find("stagign", shipped_environments())
    assert "local" in caught.value.why


def test_a_users_own_file_wins_over_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environments").mkdir()
    own = tmp_path / "environments/local.yaml"
    own.write_text("name: local\n")
    monkeypatch.chdir(tmp_path)
    assert environment.find("local", shipped_environments()).resolve() == own


def test_the_schema_describes_every_key_an_editor_may_offer() -> None:
    schema = environment.schema(clusters.options_models().values())
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "domain", "cluster", "components"}
