"""The modules of the component, imported as in its pod: files side by side, by plain name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import ROOT

FOLDER, SHARED = ROOT / "helm-values/model-routes", ROOT / "images/python"
SHARED_NAMES = ("platform_limits", "platform_reviews", "platform_callers")
NAMES = (*SHARED_NAMES, "routes", "render", "publish", "authorize")


@pytest.fixture(scope="session")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules by name, without those that need libraries of the image."""
    sys.path[:0] = [str(FOLDER), str(SHARED)]
    try:
        found = {name: importlib.import_module(name) for name in NAMES}
    finally:
        del sys.path[:2]
    yield SimpleNamespace(**found)
    for name in NAMES:
        sys.modules.pop(name, None)  # tests of another component share some
