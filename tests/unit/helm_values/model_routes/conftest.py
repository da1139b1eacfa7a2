"""The modules of the component, imported as in its pod: files side by side, by plain name."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules

FOLDER = ROOT / "helm-values/model-routes"
NAMES = (
    "platform_limits",
    "platform_reviews",
    "platform_callers",
    "routes",
    "render",
    "publish",
    "authorize",
)


@pytest.fixture(scope="session")
def scripts() -> Iterator[SimpleNamespace]:
    """The modules by name, without those that need libraries of the image."""
    with modules(FOLDER, NAMES) as found:
        yield SimpleNamespace(**found)
