"""Progress of a command that waits: one line that is redrawn on a terminal, else a line for each change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_platform.base.humanize import WIDTH, duration, shorten

if TYPE_CHECKING:
    from mlops_platform.console import Console

_TIME = 8


@contextmanager
def waiting(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield the function that shows what is waited for."""
    zero = time.monotonic()

    def line(text: str) -> str:
        return shorten(f"▸ {text}", WIDTH - _TIME - 2)

    def say(text: str) -> None:
        whole = f"▸ {text}" if console.verbose else line(text)
        console.say(f"{duration(time.monotonic() - zero):>{_TIME}}  {whole}")

    if not console.live:
        yield say
        return
    from rich.console import Console as Terminal  # imported at use: start-up time
    from rich.text import Text

    terminal = Terminal(file=console.progress, highlight=False)
    with terminal.status("") as shown:
        console.above = terminal.print
        try:
            yield lambda text: shown.update(Text(line(text).removeprefix("▸ ")))
        finally:
            console.above = None
