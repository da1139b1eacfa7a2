"""Progress of file transfers: one line for each file, with size, time and speed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlops_platform.base.humanize import duration
from mlops_platform.base.progress import Silent
from mlops_platform.base.quantities import human

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_platform.console import Console

_LINE_SECONDS = 10.0  # between two lines about one file, without a terminal
_LARGE = 10**6  # the speed of a smaller file says nothing


class Lines(Silent):
    """Progress that prints a line for each wait."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.say(f"▸ {text}")


class Transfers:
    """The display of a command that moves files."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Any = None

    @contextmanager
    def shown(self) -> Iterator[Transfers]:
        """Draw bars on a terminal for the duration of the block."""
        if not self._console.live:
            yield self
            return
        from rich.console import Console as Terminal  # imported at use: start-up time
        from rich.progress import Progress

        terminal = Terminal(file=self._console.progress, highlight=False)
        with Progress(console=terminal, transient=True) as self._bars:
            self._console.above = terminal.print
            try:
                yield self
            finally:
                self._console.above = None

    @contextmanager
    def file(self, name: str, size: int) -> Iterator[File]:
        """One file; its line is printed when the block ends without an error."""
        shown = File(name, size, self._console.say, self._bars)
        try:
            yield shown
        finally:
            shown.end()
        self._console.say(shown.line())


class File:
    """The progress of one file. `equal`: it was on the other side already."""

    def __init__(self, name: str, size: int, say: Callable[[str], None], bars: Any) -> None:
        self.name, self.size, self.equal = name, size, False
        self._say, self._bars = say, bars
        self._zero = self._last = time.monotonic()
        self._bar = bars.add_task(name, total=size or 1) if bars else None

    def moved(self, done: int) -> None:
        if self._bars:
            self._bars.update(self._bar, completed=done)
        elif time.monotonic() - self._last > _LINE_SECONDS:
            self._last = time.monotonic()
            self._say(f"▸ {self.name}  {100 * done // self.size} % of {human(self.size)}")

    def end(self) -> None:
        if self._bars:
            self._bars.remove_task(self._bar)

    def line(self) -> str:
        """'✔ train.csv  1.2 GB in 40s, 30 MB/s'"""
        if self.equal:
            return f"✔ {self.name}  {human(self.size)}, unchanged"
        seconds = time.monotonic() - self._zero
        speed = f", {human(self.size / seconds)}/s" if seconds > 1 and self.size > _LARGE else ""
        return f"✔ {self.name}  {human(self.size)} in {duration(seconds)}{speed}"
