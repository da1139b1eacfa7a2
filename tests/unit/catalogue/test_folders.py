"""Proves every component folder: pinned, proven, in the README, and named nowhere else."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from mlops_platform import clusters
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.catalogue import Component, read_catalog
from mlops_platform.catalogue.checks import NODE_POOLS
from mlops_platform.environment import model as environment
from mlops_platform.run.open import shipped_environments

from tests import ROOT

CATALOG = read_catalog(Paths.default().assets / "helm-values")
NAMES = tuple(CATALOG.entries)
# The same word for another thing.
PACKAGE = ROOT / "installer/mlops_platform"
ELSEWHERE = {  # a word of networks, and a kind of Kubernetes
    ("gateway", "clusters/host/addresses.py"),
    ("gateway", "clusters/aws/teardown/sweeps/ec2.py"),
    ("gateway", "teardown/objects.py"),
}
BEGIN, END = "<!-- components: begin", "<!-- components: end -->"

pytestmark = pytest.mark.parametrize("name", NAMES)


def test_it_is_proven_with_both_signs(name: str) -> None:
    component, folder = CATALOG[name], CATALOG.folder(name)
    assert component.smoke, "a component without a proof"
    for spec in component.smoke:
        script = (folder / spec.script).read_text()
        assert "probes.works(" in script and "probes.refused(" in script


def test_its_data_is_proven_to_survive(name: str) -> None:
    assert any(spec.survives for spec in CATALOG[name].smoke)


def test_it_runs_where_no_registry_is_reachable_and_its_image_has_a_recipe(name: str) -> None:
    """All but what only a cluster of a cloud can have a use for."""
    component = CATALOG[name]
    assert component.embedded or (component.chart and NODE_POOLS in component.requires)
    images = {
        *([component.embedded.image] if component.embedded else []),
        *(j.image for j in component.jobs),
        *(s.image for s in component.smoke),
    }
    for image in images:
        assert any((ROOT / place / image / "image.yaml").is_file() for place in ("images", "helm-values"))


def test_its_version_is_the_one_its_image_is_made_of(name: str) -> None:
    """The folder pins it a second time: as a Debian package, a requirement, or a Go module's commit."""
    folder, version, chart = CATALOG.folder(name), CATALOG[name].version, CATALOG[name].chart
    if chart:
        # The official chart has an image of its own; at another version it may have other keys.
        assert (ROOT / f"tests/cases/charts/{name}-{chart.version}.keys").is_file()
        return
    program = next(iter(_found(folder / "requirements.in", r"^([\w-]+)")), name)  # named first
    pins = [
        *(f"=={m}" for m in _found(folder / "requirements.txt", rf"^{program}==(\S+)")),
        *(f"-{m}" for m in _found(folder / "image.yaml", rf"- {name}\w*-(\d+)$")),
        *_found(folder / "image.yaml", r"# ([\d.]+) in Debian"),
        *_found(folder / "program/go.mod", rf"{name} v[\d.]+-(\d{{8}})"),
        *_found(folder / "program/go.mod", rf"/{name}(?:/v\d+)? v([\d.]+)(?: |$)"),
    ]
    assert pins, "nothing in the folder says which version its image has"
    assert all(pin.lstrip("=-") == version.replace("-", "") for pin in pins), pins


def _found(file: Path, pattern: str) -> list[str]:
    return re.findall(pattern, file.read_text(), re.MULTILINE) if file.is_file() else []


def test_a_shipped_environment_has_it(name: str) -> None:
    models = clusters.options_models()
    shipped = [environment.read(f, CATALOG, models) for f in shipped_environments().glob("*.yaml")]
    assert any(name in each.environment.components for each in shipped)


def test_the_readme_has_its_row(name: str, update_golden: bool) -> None:
    """With --update-golden the table is written anew."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, _, rest = text.partition(BEGIN)
    marker, _, _ = rest.partition("\n")
    tail = rest[rest.index(END) :]
    rows = [_row(entry.component) for entry in CATALOG.entries.values()]
    table = "\n".join(["| component | layer | version | what it is |", "| --- | --- | --- | --- |", *rows])
    wanted = f"{head}{BEGIN}{marker}\n{table}\n{tail}"
    if update_golden and wanted != text:
        readme.write_text(wanted)
    assert _row(CATALOG[name]) in readme.read_text().splitlines()
    assert wanted == readme.read_text()


def _row(component: Component) -> str:
    return f"| {component.name} | {component.layer} | {component.version} | {component.summary} |"


def test_its_name_is_in_no_code_but_its_own(name: str) -> None:
    """Whatever is true of one component only stands in its folder; texts for readers may name it."""
    word = re.compile(rf"\b{name}\b")
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text!r}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in _strings(file)
        if word.search(text) and (name, file.relative_to(PACKAGE).as_posix()) not in ELSEWHERE
    ]
    assert not found, "\n".join(found)


@cache
def _strings(file: Path) -> tuple[tuple[int, str], ...]:
    """String literals of the code: comments and docstrings are for readers."""
    tree = ast.parse(file.read_text())
    texts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return tuple(
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
    )
