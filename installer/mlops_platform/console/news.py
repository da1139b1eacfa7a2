"""Lines that are printed as soon as a step is done, such as the addresses of UIs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mlops_platform.engine.events import StepEvent


class News:
    """A Listener that prints the lines of each step that is done; an unchanged step has no news."""

    def __init__(self, say: Callable[[str], None], lines: Mapping[str, Sequence[str]]) -> None:
        self._say = say
        self._lines = lines

    def begin(self, steps: tuple[tuple[str, str], ...], edges: dict[str, tuple[str, ...]]) -> None: ...

    def event(self, event: StepEvent) -> None:
        if event.kind == "done":
            for line in self._lines.get(event.step, ()):
                self._say(line)

    def end(self) -> None: ...
