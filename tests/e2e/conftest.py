"""Owns the environment the e2e tests share: brought up once, taken down and looked after at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.platform import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """An environment that is up. Whatever the tests did to it, it must go down clean."""
    made = Platform.make("e2e", tmp_path_factory.mktemp("e2e"))
    try:
        made.ok("up", "--yes")
        yield made
    finally:
        made.ok("down", "--yes")
        assert not made.state.exists() or {p.name for p in made.state.iterdir()} <= {
            "runs",
            "environment.yaml",
            "lock",
        }
