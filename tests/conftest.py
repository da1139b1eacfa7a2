"""Owns what every test may use: rewriting golden files, and a state and cache of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is seen as what is expected")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> object:
    """golden(path, seen): the file must hold exactly that, or is written with --update-golden."""

    def compare(path: Path, seen: str) -> None:
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(seen)
        assert seen == path.read_text()

    return compare
