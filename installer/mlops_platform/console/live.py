"""The tree on a terminal: redrawn a few times a second, with notes above it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.console.tree import Tree
from mlops_platform.engine.events import StepEvent

if TYPE_CHECKING:
    from rich.text import Text

    from mlops_platform.console import Console

_TIMES_A_SECOND = 5
_COLOURS = {"✔": "green", "✘": "bold red", "▸": "cyan", "!": "bold yellow", "━+": "cyan"}


class Live:
    """A Listener that draws from the first changed step on: a no-op run is one line and imports no Rich."""

    def __init__(self, console: Console, header: str, expected: Mapping[str, float]) -> None:
        self._console = console
        self._header = header
        self._tree = Tree(expected)
        self._zero = time.monotonic()
        self._live: Any = None

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        self._zero = time.monotonic()
        self._tree.begin(steps, edges)

    def event(self, event: StepEvent) -> None:
        self._tree.event(event)
        if not self._live and event.kind not in ("unchanged", "skipped"):
            self._start()
        if event.kind == "note":
            self._console.say(f"! {event.step}: {event.text}")

    def end(self) -> None:
        if self._live:
            self._live.stop()
            self._console.above = None

    def _start(self) -> None:
        from rich.console import Console as Terminal  # imported at use: start-up time
        from rich.live import Live as Drawn

        terminal = Terminal(
            file=self._console.progress, no_color=bool(os.environ.get("NO_COLOR")), highlight=False
        )
        self._console.say(self._header)
        self._live = Drawn(
            console=terminal,
            get_renderable=self._draw,
            refresh_per_second=_TIMES_A_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._console.above = lambda text: terminal.print(_text(text))
        self._live.start()

    def _draw(self) -> Text:
        return _text("\n".join(self._tree.lines(time.monotonic() - self._zero)))


def _text(text: str) -> Text:
    """Color the marks."""
    from rich.text import Text  # imported at use: start-up time

    drawn = Text(text, no_wrap=True, overflow="ellipsis")
    for mark, style in _COLOURS.items():
        drawn.highlight_regex(mark, style)
    return drawn
