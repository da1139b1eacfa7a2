"""The authorization of MLflow, imported as in its pod: files side by side, by plain name."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules

FOLDER = ROOT / "helm-values/mlflow"
NAMES = (
    "platform_limits",
    "platform_reviews",
    "platform_callers",
    "rules",
    "authorization",
    "places",
)


@pytest.fixture(scope="session")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules, by name, and the rules of routes.txt."""
    with modules(FOLDER, NAMES) as found:
        table = found["rules"].Rules((FOLDER / "routes.txt").read_text())
        plain = {name.removeprefix("platform_"): module for name, module in found.items()}
        yield SimpleNamespace(**plain, table=table)
