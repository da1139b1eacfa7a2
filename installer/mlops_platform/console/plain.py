"""Progress without a terminal, in CI or with `--verbose`: one line per event."""

from __future__ import annotations

from collections.abc import Callable

from mlops_platform.base.humanize import WIDTH, duration
from mlops_platform.engine.events import StepEvent

QUIET_SECONDS = 15.0
_MARKS = {"started": "▸", "done": "✔", "unchanged": "=", "failed": "✘", "skipped": "·", "note": "!"}


class Plain:
    """A Listener that prints a step's status at most every QUIET_SECONDS, with `verbose` always."""

    def __init__(self, say: Callable[[str], None], header: str, *, verbose: bool) -> None:
        self._say = say
        self._header = header
        self._verbose = verbose
        self._said: dict[str, float] = {}

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None:
        if self._verbose:
            self._head()

    def event(self, event: StepEvent) -> None:
        if event.kind in ("said", "fraction"):
            last = self._said.get(event.step, 0.0)
            if not self._verbose and event.elapsed - last < QUIET_SECONDS:
                return
        elif event.kind == "unchanged" and not self._verbose:
            return
        self._said[event.step] = event.elapsed
        self._head()
        line = _line(event)
        whole = self._verbose or event.kind == "note"  # a shortened id in a note would be useless
        self._say(line if whole or len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")

    def end(self) -> None: ...

    def _head(self) -> None:
        """Print the header before the first visible event: a no-op run is one line."""
        if self._header:
            self._say(self._header)
            self._header = ""


def _line(event: StepEvent) -> str:
    text = event.text
    if event.kind == "fraction":
        text = f"{event.text} {event.done}/{event.total}".strip()
    if event.kind == "done":
        text = duration(event.seconds)
    if event.kind == "failed":
        text = f"{event.text} ({duration(event.seconds)})"
    mark = _MARKS.get(event.kind, " ")
    return f"{event.elapsed:7.1f}s  {mark} {event.step:<22} {text}".rstrip()
