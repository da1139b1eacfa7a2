"""Proves that every mistake in component folders is named with its line, all of them in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlops_platform.base.errors import ConfigurationError, Exit
from mlops_platform.catalogue.catalogue import Catalog, Flow, read_catalog, read_catalog_leniently

import tests

CASES = tests.CASES / "components"


def cases() -> list[Path]:
    return sorted(path for path in CASES.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", cases(), ids=lambda p: p.name)
def test_mistakes_are_named_with_their_lines(case: Path, update_golden: bool) -> None:
    """Each case is a folder of components, and `problems`: the lines a user sees."""
    _, problems = read_catalog_leniently(case)
    seen = "".join(f"{problem}\n" for problem in sorted(problems))
    expected = case / "problems"
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()
    assert problems, "a case without a mistake proves nothing"


def test_a_catalogue_with_mistakes_is_refused_as_a_whole() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_catalog(CASES / "all-at-once")
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert len(caught.value.problems) >= 8
    assert {p.file.split("/")[1] for p in caught.value.problems} == {"a", "b", "c"}


def write(folder: Path, name: str, more: str = "") -> None:
    (folder / name).mkdir()
    (folder / name / "component.yaml").write_text(
        f"name: {name}\nlayer: data\nsummary: a component of a test\nversion: 1.0.0\nnamespace: {name}\n"
        f"{more}chart:\n  repo: https://charts.example.com\n  name: {name}\n  version: 1.0.0\n"
        f"  digest: sha256:{'0' * 64}\nresources: {{cpu: 100m, memory: 64Mi}}\n"
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


def test_a_capability_is_provided_by_whoever_says_so(catalog: Catalog) -> None:
    assert catalog.providers("sql") == ["one", "two"]
    assert catalog.providers("app") == ["app"]
    assert catalog.providers("object-store") == []


def test_edges_lead_to_chosen_components_only(catalog: Catalog) -> None:
    assert catalog.edges("app", ["app", "two"]) == ("two",)
    assert catalog.edges("one", catalog.entries) == ()


@pytest.fixture
def network(tmp_path: Path) -> Catalog:
    """A keeper of secrets, a store with one, two pages behind a front, and somebody who needs nothing."""
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


def test_order_has_what_is_implied_and_not_what_is_only_reached(network: Catalog) -> None:
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


def test_flows_lead_to_every_port_of_what_is_required_and_to_pages_of_what_is_routed(
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


def test_a_component_reaches_itself_and_nobody_who_is_not_chosen(network: Catalog) -> None:
    assert network.flows(["page", "idle"]) == {Flow("page", "page", 80), Flow("page", "page", 81)}
