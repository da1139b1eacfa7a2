from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.unit.helm_values.home.fakes import home_modules


@pytest.fixture(scope="session")
def scripts() -> Iterator[SimpleNamespace]:
    with home_modules() as found:
        yield found
