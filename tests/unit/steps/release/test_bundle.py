"""Bundles: values for both kinds of chart, a ConfigMap for a folder, and limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.base.errors import ConfigurationError
from mlops_platform.base.paths import Paths
from mlops_platform.base.yaml import load
from mlops_platform.catalogue.bundle import Bundle, problems
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.environment.model import ComponentSpec
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.release import bundle as bundled

import tests

CATALOG = read_catalog(Paths.default().assets / "helm-values")
CASES = tests.CASES / "environments"
WITH_BUNDLES = [name for name, entry in CATALOG.entries.items() if entry.component.bundles]
SPECS: dict[str, dict[str, Any]] = {
    "git": {"git": {"url": "https://git.example.com/team/dags.git", "ref": "v1.2", "path": "jobs"}},
    "git-secret": {"git": {"url": "https://git.example.com/team/dags.git", "secret": "dags-account"}},
    "recipe": {"image": "our-dags"},
    "image": {"image": "registry.example.com/team/dags:2026.11"},
    "folder": {"folder": "bundles/good"},
}


def resolved(name: str, spec: dict[str, Any], *, in_tree: bool, beside: Path = CASES) -> ResolvedComponent:
    component, bundle = CATALOG[name], Bundle.model_validate(spec)
    return ResolvedComponent(
        component=component,
        folder=CATALOG.folder(name),
        spec=ComponentSpec(bundle=bundle),
        environment="test",
        requires=(),
        in_tree=in_tree,
        variables={"name": name, "namespace": name},
        image="",
        reference=lambda recipe: f"registry.test/{recipe}:1",
        bundle=beside / bundle.folder if bundle.folder else None,
    )


@pytest.mark.parametrize("name", WITH_BUNDLES)
@pytest.mark.parametrize("kind", ["git", "git-secret", "recipe", "folder"])
def test_values_for_in_tree_chart(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    _matches_golden_file(name, kind, request, embedded=True)


@pytest.mark.parametrize("name", WITH_BUNDLES)
@pytest.mark.parametrize("kind", ["git", "git-secret", "image", "folder"])
def test_values_for_official_chart(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    _matches_golden_file(name, kind, request, embedded=False)


def _matches_golden_file(name: str, kind: str, request: pytest.FixtureRequest, *, embedded: bool) -> None:
    seen = bundled.values(resolved(name, SPECS[kind], in_tree=embedded))
    text = yaml.safe_dump(seen, sort_keys=True, width=110)
    assert "${" not in text
    for value in seen.get("env", {}).values():
        json.loads(value)
    compare = request.getfixturevalue("golden")
    compare(Path(f"tests/golden/bundles/{name}-{'service' if embedded else 'chart'}-{kind}.yaml"), text)


@pytest.mark.parametrize("name", WITH_BUNDLES)
@pytest.mark.parametrize(("kind", "embedded"), [("recipe", False), ("image", True)])
def test_image_for_other_kind_of_cluster_is_rejected(name: str, kind: str, embedded: bool) -> None:
    with pytest.raises(ConfigurationError) as caught:
        bundled.values(resolved(name, SPECS[kind], in_tree=embedded))
    assert f"components.{name}.bundle.image" in caught.value.problems[0].what


@pytest.mark.parametrize("name", WITH_BUNDLES)
def test_folder_becomes_config_map_with_key_for_each_file(name: str) -> None:
    """The volume's items map keys, which have no slashes, to the original paths."""
    made = bundled.config_map(resolved(name, SPECS["folder"], in_tree=True))
    assert sorted(made["data"].values()) == ["# a DAG\n", "# helps\n"]
    assert all("/" not in key for key in made["data"])


def problems_of(folder: Path, component: Component) -> list[str]:
    file = folder.parent / "environment.yaml"
    file.write_text(yaml.safe_dump({"components": {component.name: {"bundle": {"folder": folder.name}}}}))
    document = load(file)
    spec = document.data["components"][component.name]
    return [each.what for each in problems(document, component, spec, file.parent)]


@pytest.mark.parametrize("name", WITH_BUNDLES)
def test_folder_over_limits_is_a_problem(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    assert problems_of(folder, CATALOG[name]) == ["dags: no files in it"]
    (folder / ".hidden").write_text("")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_bytes(b"\xff")
    assert problems_of(folder, CATALOG[name]) == ["dags: no files in it"]
    (folder / "full.py").write_text("x" * (512 * 1024))
    assert problems_of(folder, CATALOG[name]) == []
    (folder / "one-more.py").write_text("x")
    assert problems_of(folder, CATALOG[name]) == ["dags: more than 512 KiB"]
    (folder / "full.py").unlink()
    for number in range(200):
        (folder / f"{number}.py").write_text("")
    assert problems_of(folder, CATALOG[name]) == ["dags: more than 200 files"]
