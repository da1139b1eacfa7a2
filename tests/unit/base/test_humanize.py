"""Texts of other programs on the screen."""

from __future__ import annotations

import pytest
from mlops_platform.base.humanize import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb é", "a\n\tb é"),
        ("\033[33;1mwarning\033[0m", "warning"),
        ("\033]0;title\a\033[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("one\rtwo", r"one\rtwo"),
    ],
)
def test_control_characters_are_shown_and_colors_left_out(text: str, shown: str) -> None:
    assert plain(text) == shown
