"""Every mistake in component folders is reported with its line, all of them in one pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlops_platform.base.errors import ConfigurationError, Exit
from mlops_platform.catalogue.catalogue import Catalog, Flow
from mlops_platform.catalogue.read import read_catalog, read_catalog_leniently

import tests

CASES = tests.CASES / "components"


SMOKE = "probes.works('it answers')\nprobes.refused('an error', ValueError)\n"


def catalogue_of(case: Path, folder: Path) -> Path:
    """Copy a case; add a right service.yaml and smoke test to components without them."""
    copy = folder / case.name
    shutil.copytree(case, copy, symlinks=True)
    for component in copy.glob("*/component.yaml"):
        text = component.read_text()
        for name, content in (("service.yaml", "kind: Deployment\n"), ("smoke.py", SMOKE)):
            if not (component.parent / name).exists():
                (component.parent / name).write_text(content)
        if "smoke:" not in text and "resources:" in text:
            smoke = f"smoke: [{{script: smoke.py, survives: [deployment/{component.parent.name}]}}]\n"
            component.write_text(f"{text.rstrip()}\n{smoke}")
    return copy


@pytest.mark.parametrize("case", sorted(p for p in CASES.iterdir() if p.is_dir()), ids=lambda p: p.name)
def test_each_mistake_is_reported_with_its_line(case: Path, tmp_path: Path, update_golden: bool) -> None:
    """Each case is a folder of components, and `problems`: the lines a user sees."""
    _, problems = read_catalog_leniently(catalogue_of(case, tmp_path))
    seen = "".join(f"{problem}\n" for problem in sorted(problems))
    expected = case / "problems"
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()
    assert problems, "a case has a mistake"


def test_mistakes_of_all_folders_are_raised_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_catalog(catalogue_of(CASES / "all-at-once", tmp_path))
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert len(caught.value.problems) >= 8
    assert {p.file.split("/")[1] for p in caught.value.problems} == {"a", "b", "c"}


def write(folder: Path, name: str, more: str = "") -> None:
    (folder / name).mkdir()
    (folder / name / "values.yaml").touch()
    (folder / name / "smoke.py").write_text(SMOKE)
    (folder / name / "component.yaml").write_text(
        f"name: {name}\nlayer: data\nsummary: a component of a test\nversion: 1.0.0\nnamespace: {name}\n"
        f"{more}chart:\n  repo: https://charts.example.com\n  name: {name}\n  version: 1.0.0\n"
        f"  digest: sha256:{'0' * 64}\nresources: {{cpu: 100m, memory: 64Mi}}\n"
        f"smoke: [{{script: smoke.py, survives: [deployment/{name}]}}]\n"
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Two stores with one capability, and an application that needs it."""
    provides = (
        "provides:\n  sql: {port: sql, script: a.py, admin: admin}\nserves:\n  sql: {port: 1}\n"
        "needs: {secrets: {admin: {keys: [password]}}}\n"
    )
    for store in ("one", "two"):
        write(tmp_path, store, provides)
        (tmp_path / store / "a.py").touch()
    write(tmp_path, "app", "requires: [sql]\nneeds: {database: app}\n")
    return read_catalog(tmp_path)


def test_providers_are_components_with_the_name_or_capability(catalog: Catalog) -> None:
    assert catalog.providers("sql") == ["one", "two"]
    assert catalog.providers("app") == ["app"]
    assert catalog.providers("object-store") == []


def test_edges_lead_to_chosen_components_only(catalog: Catalog) -> None:
    assert catalog.edges("app", ["app", "two"]) == ("two",)
    assert catalog.edges("one", catalog.entries) == ()


@pytest.fixture
def network(tmp_path: Path) -> Catalog:
    """A secret store, a database with a secret, two UIs behind an ingress, and a component without edges."""
    write(
        tmp_path,
        "keeper",
        "provides: {secret-store: {port: api}}\nserves: {api: {port: 8200}}\noptional: [sql]\n",
    )
    sql = "provides: {sql: {port: sql, script: a.py, admin: root}}\nneeds: {secrets: {root: {keys: [key]}}}\n"
    write(tmp_path, "store", sql + "serves: {sql: {port: 5432}, metrics: {port: 9187}}\n")
    (tmp_path / "store/a.py").touch()
    write(tmp_path, "page", "requires: [sql]\nserves: {web: {port: 80, ui: true}, api: {port: 81}}\n")
    write(tmp_path, "album", "serves: {web: {port: 90, ui: true}}\n")
    write(tmp_path, "front", "ingress: true\nserves: {https: {port: 8443}}\n")
    write(tmp_path, "idle")
    return read_catalog(tmp_path)


def test_order_has_implied_edges_and_no_optional_ones(network: Catalog) -> None:
    order = {name: network.edges(name, network.entries) for name in network.entries}
    assert order == {
        "keeper": (),
        "store": ("keeper",),  # a secret is made for it
        "page": ("store",),
        "album": (),
        "front": ("album", "page"),
        "idle": (),
    }
    without = [name for name in network.entries if name != "keeper"]
    assert network.edges("store", without) == ()


def test_ingress_comes_before_a_ui_that_requires_it(network: Catalog, tmp_path: Path) -> None:
    write(tmp_path, "late", "requires: [front]\nserves: {web: {port: 80, ui: true}}\n")
    catalog = read_catalog(tmp_path)
    assert catalog.late_uis(catalog.entries) == {"late"}
    assert catalog.edges("front", catalog.entries) == ("album", "page")
    assert catalog.edges("late", catalog.entries) == ("front",)
    assert Flow("front", "late", 80) in catalog.flows(catalog.entries)


def test_flows_reach_ports_of_required_components_and_uis_of_the_ingress(
    network: Catalog,
) -> None:
    seen = sorted(
        f"{f.source} {f.target} {f.port}" for f in network.flows(network.entries) if f.source != f.target
    )
    assert seen == [
        "front album 90",
        "front page 80",
        "keeper store 5432",
        "keeper store 9187",
        "page store 5432",
        "page store 9187",
    ]


def test_component_reaches_itself_and_no_component_that_is_not_chosen(network: Catalog) -> None:
    assert network.flows(["page", "idle"]) == {Flow("page", "page", 80), Flow("page", "page", 81)}


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "components"
    folder.mkdir()
    for name in ("file", "whole", "loop"):
        write(folder, name)
    for name in ("file/smoke.py", "whole/component.yaml", "loop/component.yaml"):
        (folder / name).rename(tmp_path / name.replace("/", "-"))
    (folder / "file/smoke.py").symlink_to(tmp_path / "file-smoke.py")
    (folder / "whole/component.yaml").symlink_to(tmp_path / "whole-component.yaml")
    (folder / "loop/component.yaml").symlink_to("component.yaml")
    (folder / "outside").symlink_to(tmp_path)
    (tmp_path / "component.yaml").write_text("name: outside\n")
    _, problems = read_catalog_leniently(folder)
    assert [f"{p.file}:{p.line}: {p.what}" for p in problems] == [
        "components/file/component.yaml:12: smoke.py: a symbolic link that leads out of the folder",
        "components/loop/component.yaml:0: a symbolic link that leads out of the folder",
        "components/outside/component.yaml:0: a symbolic link that leads out of the folder",
        "components/whole/component.yaml:0: a symbolic link that leads out of the folder",
    ]


def test_a_script_that_is_not_python_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    own = tmp_path / "components"
    own.mkdir()
    write(own, "app")
    (own / "app/smoke.py").write_text(f"{SMOKE}def f(:\n")
    _, problems = read_catalog_leniently(tmp_path / "shipped", own)
    assert [str(p) for p in problems] == ["components/app/smoke.py:3: not Python: invalid syntax"]


def test_a_name_that_a_shipped_component_has_is_refused(tmp_path: Path) -> None:
    for folder in ("helm-values", "components"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "store")
    _, problems = read_catalog_leniently(tmp_path / "helm-values", tmp_path / "components")
    (problem,) = problems
    assert problem.file == "components/store/component.yaml"
    assert "a shipped component has this name" in problem.what


def test_a_folder_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "components").write_text("a file")
    _, problems = read_catalog_leniently(tmp_path / "components")
    assert [problem.what for problem in problems] == ["cannot be read: Not a directory"]


def test_pods_of_projects_get_tokens_for_the_chosen_components_that_they_reach(tmp_path: Path) -> None:
    for name, reached in (("tracker", "true"), ("store", "true"), ("hidden", "false"), ("open", "true")):
        token = "" if name == "open" else f"token: {name}, "
        write(
            tmp_path,
            name,
            f"serves: {{http: {{port: 80, projects: {reached}}}}}\nprojects: {{{token}smoke: smoke.py}}\n",
        )
    catalog = read_catalog(tmp_path)
    assert catalog.project_audiences(catalog.entries) == ["store", "tracker"]
    assert catalog.project_audiences(["open", "tracker"]) == ["tracker"]
