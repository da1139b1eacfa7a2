"""Lines about transferred files."""

from __future__ import annotations

import io

import pytest
from mlops_platform.console import Console
from mlops_platform.console.transfer import File, Transfers


def file(size: int, seconds: float = 0.0) -> tuple[File, list[str]]:
    lines: list[str] = []
    made = File("train.csv", size, lines.append, None)
    made._zero -= seconds
    made._last -= seconds
    return made, lines


def test_large_file_has_its_speed() -> None:
    made, _ = file(1_200_000_000, seconds=40)
    assert made.line() == "✔ train.csv  1.2 GB in 40s, 30.0 MB/s"


def test_small_or_equal_file_has_no_speed() -> None:
    assert file(6, seconds=4)[0].line() == "✔ train.csv  6 B in 4.0s"
    equal, _ = file(1_200_000_000, seconds=40)
    equal.equal = True
    assert equal.line() == "✔ train.csv  1.2 GB, unchanged"


def test_long_transfer_without_a_terminal_prints_a_line_now_and_then() -> None:
    made, lines = file(1_000_000_000, seconds=11)
    made.moved(250_000_000)
    made.moved(260_000_000)
    assert lines == ["▸ train.csv  25 % of 1.0 GB"]


def test_failed_transfer_prints_no_line() -> None:
    err = io.StringIO()
    shown = Transfers(Console("test", err=err))
    with pytest.raises(OSError), shown.shown() as transfers, transfers.file("a", 1):
        raise OSError
    assert err.getvalue() == ""
