"""Format text for people: tables, durations, ages, colors, 80 columns."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

WIDTH = 80
Style = Literal["", "good", "bad", "busy", "faint", "strong"]
_CODES: dict[str, str] = {"good": "32", "bad": "31", "busy": "36", "faint": "2", "strong": "1"}
_MARKS: dict[str, Style] = {"✔": "good", "✘": "bad", "▸": "busy", "!": "strong"}
_LOUD = "✖"  # marks a line about a destroyed object: red to its end


def paint(text: str, style: Style) -> str:
    """Color a text: https://en.wikipedia.org/wiki/ANSI_escape_code#SGR"""
    return f"\033[{_CODES[style]}m{text}\033[0m" if style else text


def paint_marks(text: str) -> str:
    """Color the marks, and lines about destroyed objects."""
    for mark, style in _MARKS.items():
        text = text.replace(f"{mark} ", f"{paint(mark, style)} ")
    if _LOUD not in text:
        return text
    return re.sub(rf"{_LOUD} .*", lambda found: paint(found[0], "bad"), text)


def plain(text: str) -> str:
    """Remove colors and escape control characters: logs of people's programs must not steer the terminal."""
    text = re.sub(r"\033\[[0-9;]*m", "", text)
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def duration(seconds: float) -> str:
    """Format seconds: '0.4s', '48s', '1m52s', '3h12m'."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def age(when: datetime, now: datetime | None = None) -> str:
    """Format an age with one figure, for a column: 'now', '3m', '5h', '12d'."""
    seconds = max(0, ((now or datetime.now(UTC)) - when).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s" if seconds >= 1 else "now"


def ago(when: datetime, now: datetime | None = None) -> str:
    """Format an age in a sentence: '3m ago', 'just now'."""
    text = age(when, now)
    return "just now" if text == "now" else f"{text} ago"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "  ") -> str:
    """Align columns, two spaces apart. No header line if all headers are ''."""
    lines = [tuple(headers), *map(tuple, rows)] if any(headers) else [tuple(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headers))]
    return "\n".join(
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))).rstrip()
        for line in lines
    )


def labelled(label: str, text: str, width: int = 12, wrap: bool = True) -> list[str]:
    """Put a label before a text: '  hint        run …'. Long lines are folded between words."""
    start, below = f"  {label:<{width}}", " " * (width + 2)
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        room = WIDTH - len(below)
        folded = textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False) if wrap else [line]
        lines += folded or [""]
    return [((below if number else start) + line).rstrip() for number, line in enumerate(lines)]


def with_notes(text: str, notes: Sequence[tuple[str, str]]) -> str:
    """A table, and below it the notes of its rows, by name."""
    if not notes:
        return text
    width = max(12, *(len(name) + 2 for name, _ in notes))
    return "\n".join([text, "", *(line for name, note in notes for line in labelled(name, note, width))])


def shorten(text: str, room: int) -> str:
    """Shorten a text to one line of at most `room` characters."""
    line = " ".join(text.split())
    return line if len(line) <= room else line[: max(0, room - 1)].rstrip() + "…"


def plural(count: int, word: str) -> str:
    """Format a count: '1 step', '2 steps'."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
