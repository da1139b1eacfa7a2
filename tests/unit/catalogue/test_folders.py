"""The shipped component folders: without mistakes, in the README, and named nowhere else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment import file as environment
from mlops_platform.run.open import shipped_environments

from tests import ROOT

ASSETS = Paths.default().assets
CATALOG = read_catalog(ASSETS / "helm-values")
# A contributor's new component is in none of these, and needs no edit outside its folder.
SHIPPED = sorted(
    {
        name
        for file in shipped_environments().glob("*.yaml")
        for name in environment.read(file, CATALOG, clusters.options_models()).environment.components
    }
)
PACKAGE = ROOT / "installer/mlops_platform"
# The same word for another thing: of networks, a kind or API group of Kubernetes, accounts of projects.
ELSEWHERE = {
    ("gateway", "clusters/host/addresses.py"),
    ("gateway", "clusters/aws/teardown/sweeps/ec2.py"),
    ("gateway", "teardown/objects.py"),
    ("airflow", "base/labels.py"),
    ("trainer", "base/labels.py"),
    ("kserve", "adapters/kube/inference.py"),
    ("jobset", "adapters/kube/batch.py"),
    ("trainer", "adapters/kube/batch.py"),
}
WORDS = {"home"}  # a key of component.yaml too, and a word
BEGIN, END = "<!-- components: begin", "<!-- components: end -->"


def test_every_folder_is_without_mistakes(tmp_path: Path) -> None:
    """As a user's own folder is read: scripts are parsed too."""
    read_catalog(tmp_path, ASSETS / "helm-values", images=ASSETS / "images")


def test_readme_lists_the_components_of_the_shipped_environments(
    golden: Callable[[Path, str], None],
) -> None:
    """With --update-golden the table is written."""
    readme = ROOT / "README.md"
    head, _, rest = readme.read_text().partition(BEGIN)
    marker, _, _ = rest.partition("\n")
    rows = [_row(entry.component) for name, entry in CATALOG.entries.items() if name in SHIPPED]
    table = "\n".join(["| component | layer | version | what it is |", "| --- | --- | --- | --- |", *rows])
    golden(readme, f"{head}{BEGIN}{marker}\n{table}\n{rest[rest.index(END) :]}")


def _row(component: Component) -> str:
    return f"| {component.name} | {component.layer} | {component.version} | {component.summary} |"


def test_code_names_no_component() -> None:
    """Comments and docstrings may."""
    words = re.compile(rf"\b({'|'.join(set(SHIPPED) - WORDS)})\b")
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text!r}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if words.search(file.read_text())  # parsing all files takes seconds
        for line, text in _strings(file)
        for name in words.findall(text)
        if (name, file.relative_to(PACKAGE).as_posix()) not in ELSEWHERE
    ]
    assert not found, "\n".join(found)


def _strings(file: Path) -> Iterator[tuple[int, str]]:
    tree = ast.parse(file.read_text())
    texts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
            yield node.lineno, node.value


@pytest.mark.parametrize("keys", sorted((ROOT / "tests/cases/charts").glob("*.keys")), ids=lambda p: p.stem)
def test_known_keys_of_a_chart_are_of_its_pinned_version(keys: Path) -> None:
    """At another version a chart may have other keys."""
    name, _, version = keys.stem.rpartition("-")
    chart = CATALOG[name].chart
    assert chart is None or chart.version == version
