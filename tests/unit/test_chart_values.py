"""Proves that values for official charts set keys those charts have; any other they would ignore in silence."""

tests/cases/charts/<component>-<chart version>.keys lists a chart's keys at that version, one path a line;
below one with a * anything may stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CASES = sorted((ROOT / "tests/cases/charts").glob("*.keys"))


def paths(values: Mapping[str, Any], free: set[str], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{above}{key}"
        yield path
        if isinstance(value, Mapping) and path not in free:
            yield from paths(value, free, f"{path}.")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.stem)
def test_every_key_is_one_of_the_charts(case: Path) -> None:
    lines = case.read_text().splitlines()
    free = {line.removesuffix(" *") for line in lines if line.endswith(" *")}
    known = free | set(lines)
    component = case.stem.rpartition("-")[0]
    values = yaml.safe_load((ROOT / "helm-values" / component / "values.yaml").read_text())
    assert set(paths(values, free)) <= known, sorted(set(paths(values, free)) - known)


def test_a_key_the_chart_does_not_have_is_noticed() -> None:
    assert CASES
    assert list(paths({"a": {"b": 1}, "c": {"d": 1}}, {"c"})) == ["a", "a.b", "c"]
