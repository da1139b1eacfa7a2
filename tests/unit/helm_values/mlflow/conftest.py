"""The authorization of MLflow, imported as in its pod: files side by side, by plain name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import ROOT

FOLDER = ROOT / "helm-values/mlflow"
NAMES = ("limits", "rules", "reviews", "callers", "authorization", "places")


@pytest.fixture(scope="session")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules, by name, and the rules of routes.txt."""
    sys.path.insert(0, str(FOLDER))
    try:
        found = {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))
    table = found["rules"].Rules((FOLDER / "routes.txt").read_text())
    yield SimpleNamespace(**found, table=table)
    for name in NAMES:
        del sys.modules[name]
