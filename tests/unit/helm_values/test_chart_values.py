"""Values of official charts set only keys of these charts, which ignore unknown keys.

tests/cases/charts/<component>-<chart version>.keys lists the keys of the chart at that version, one path a
line; below a key with a * any key is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT

CASES = sorted((ROOT / "tests/cases/charts").glob("*.keys"))


def paths(values: Mapping[str, Any], free: set[str], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{above}{key}"
        yield path
        if isinstance(value, Mapping) and path not in free:
            yield from paths(value, free, f"{path}.")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.stem)
def test_every_key_is_a_key_of_the_chart(case: Path) -> None:
    lines = case.read_text().splitlines()
    free = {line.removesuffix(" *") for line in lines if line.endswith(" *")}
    known = free | set(lines)
    component = case.stem.rpartition("-")[0]
    folder = ROOT / "helm-values" / component
    trees = [yaml.safe_load((folder / "values.yaml").read_text())]
    if (folder / "seals.yaml").is_file():
        trees += yaml.safe_load((folder / "seals.yaml").read_text()).values()
    found = {path for tree in trees for path in paths(tree, free)}
    assert found <= known, sorted(found - known)


def test_paths_end_at_free_keys() -> None:
    assert CASES
    assert list(paths({"a": {"b": 1}, "c": {"d": 1}}, {"c"})) == ["a", "a.b", "c"]


def test_every_cloud_has_a_seal() -> None:
    seals = yaml.safe_load((ROOT / "helm-values/vault/seals.yaml").read_text())
    kinds = {
        cloud: tree["server"]["extraEnvironmentVars"]["VAULT_SEAL_TYPE"] for cloud, tree in seals.items()
    }
    assert kinds == {"aws": "awskms", "gcp": "gcpckms", "azure": "azurekeyvault"}
