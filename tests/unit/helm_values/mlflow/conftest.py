"""The authorization of MLflow, imported as in its pod: files side by side, by plain name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import ROOT

FOLDER, SHARED = ROOT / "helm-values/mlflow", ROOT / "images/python"
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
    sys.path[:0] = [str(FOLDER), str(SHARED)]
    try:
        found = {name: importlib.import_module(name) for name in NAMES}
    finally:
        del sys.path[:2]
    table = found["rules"].Rules((FOLDER / "routes.txt").read_text())
    plain = {name.removeprefix("platform_"): module for name, module in found.items()}
    yield SimpleNamespace(**plain, table=table)
    for name in NAMES:
        sys.modules.pop(name, None)  # tests of another component share some
