"""Tests of quantities of CPU and memory."""

from __future__ import annotations

import pytest
from mlops_platform.base.quantities import human, to_bytes, to_cores


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", 0), ("512Mi", 512 * 2**20), ("1.5Gi", 3 * 2**29), ("2G", 2 * 10**9), ("1Ti", 2**40)],
)
def test_bytes_are_converted(text: str, amount: int) -> None:
    assert to_bytes(text) == amount


@pytest.mark.parametrize(("text", "amount"), [("250m", 0.25), ("2", 2.0), ("0.5", 0.5)])
def test_cores_are_converted(text: str, amount: float) -> None:
    assert to_cores(text) == amount


@pytest.mark.parametrize("text", ["", "1 GB", "-3", "1GiB", "Gi", "1e3"])
def test_wrong_amount_raises_error_with_example(text: str) -> None:
    for convert in (to_bytes, to_cores):
        with pytest.raises(ValueError, match="such as"):
            convert(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 B"), (999, "999 B"), (12_000, "12 kB"), (1_234_000, "1.2 MB"), (123_400_000_000, "123 GB")],
)
def test_bytes_are_formatted_with_decimal_units(amount: int, text: str) -> None:
    assert human(amount) == text
