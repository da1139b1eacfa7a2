"""Fixtures of all tests: golden files, a separate state folder and cache."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the results into the golden files")


def pytest_configure() -> None:
    """A background process of a shell ignores SIGINT, and so do its children, unless
    this process handles it. Tests send Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(update_golden: bool) -> object:
    """golden(path, seen): the file must be equal; --update-golden writes it."""

    def compare(path: Path, seen: str) -> None:
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(seen)
        assert seen == path.read_text()

    return compare
