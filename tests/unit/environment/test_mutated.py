"""Mutates the files that people write, with a fixed seed: each is read, or every problem is reported."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform import clusters
from mlops_platform.adapters.images import find_recipes
from mlops_platform.adapters.images.recipe import read_recipes
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.paths import Paths
from mlops_platform.base.yaml import dump
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment import file as environment
from mlops_platform.run.open import shipped_environments

import tests

FOLDER = Paths.default().assets / "helm-values"
CATALOG = read_catalog(FOLDER)
VALUES: list[Any] = [
    *(None, True, 0, -1, 3.5, 1e300, 2**64 - 1, [], {}, [None], [[]], [{}], {"": 1}, {"a": {"b": [1]}}),
    *("", "x", "../..", "/", "${x}", "$", "{{ a }}", "a\0b", "\x1b[31m", "é😀\u2028", "x" * 300, "9" * 400),
    *("9" * 400 + "Gi", "٣Gi", "1e999", "0Gi", "http://[::1", "https://x:99999/a/b", "10.0.0.0/99"),
    *({"git": {"url": "https://x.y/z"}}, {"folder": "/"}, {"folder": "a\0"}, {"folder": "x" * 300}),
    *({"image": "x" * 300}, {"provider": []}, {"provider": "aws"}, "host", "vault", "2026-13-45"),
]
TEXTS = ["{{ x }}", "<<: *a", "&a ", "*a", "!!binary ", "!!set ", "? ", "- ", ": ", "[", "{", "}", "\t", "\0"]
TEXTS += [
    "%",
    "|",
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "'",
    '"',
    "#",
    "=",
    "~: ",
    "0644",
    ".nan",
    "\ufeff",
    "\x85",
]


def places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*place, key)
        yield from places(value, (*place, key))


def mutated(text: str, chosen: random.Random) -> str:
    """Change a value, or the text itself where the data is none."""
    data = yaml.safe_load(text) if chosen.random() < 0.7 else None
    if not isinstance(data, dict):
        at = chosen.randrange(len(text))
        return text[:at] + chosen.choice(TEXTS) + text[at + chosen.choice((0, 0, 5)) :]
    *above, last = chosen.choice(list(places(data)))
    inner = data
    for key in above:
        inner = inner[key]
    inner[last] = chosen.choice(VALUES)
    return dump(data)


def reads(read: Any, file: Path, text: str) -> bool:
    file.write_text(text)
    try:
        read()
    except ConfigurationError as error:
        assert all(str(problem) for problem in error.problems)
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
def test_mutated_environment_is_read_or_each_problem_is_reported(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    sources = [*shipped_environments().glob("*.yaml"), *(tests.CASES / "environments").glob("*s*.yaml")]
    texts = [file.read_text() for file in sorted(sources) if file.stem not in ("wrong-kinds", "a-list")]
    file, models = tmp_path / "local.yaml", clusters.options_models()
    results = [
        reads(
            lambda: environment.read(file, CATALOG, models, beside=tmp_path),
            file,
            mutated(chosen.choice(texts), chosen),
        )
        for _ in range(100)
    ]
    assert False in results


@pytest.mark.parametrize("seed", range(2))
def test_mutated_component_and_recipe_are_read_or_each_problem_is_reported(tmp_path: Path, seed: int) -> None:
    chosen = random.Random(seed)
    shutil.copytree(FOLDER, tmp_path / "helm-values")
    files = sorted(tmp_path.glob("*/*/component.yaml")) + sorted(tmp_path.glob("*/*/image.yaml"))

    def read() -> None:
        read_catalog(tmp_path / "helm-values")
        read_recipes(find_recipes(tmp_path / "helm-values"))

    for file in chosen.choices(files, k=40):
        before = file.read_text()
        reads(read, file, mutated(before, chosen))
        file.write_text(before)
