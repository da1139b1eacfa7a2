"""Owns what every test may use: rewriting golden files, and a state and cache of one's own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is seen as what is expected")


def pytest_configure() -> None:
    """A shell gives what it starts in the background an ignored SIGINT, and so do we what we start, unless
    somebody handles it here: tests press Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
