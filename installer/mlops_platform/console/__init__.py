"""Owns all that is printed: data on stdout, progress and errors on stderr, one envelope with JSON."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from mlops_platform import __version__
from mlops_platform.base.errors import Exit, PlatformError
from mlops_platform.base.humanize import WIDTH, paint_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlops_platform.base.cancel import Cancel
    from mlops_platform.console.failure import FailureContext
    from mlops_platform.engine.events import Listener

ENVELOPE = 1
_PATIENCE_SECONDS = 12 * 3600.0  # for an answer


class Output(StrEnum):
    """What `--output` may say."""

    TEXT = "text"
    JSON = "json"


class Console:
    """One command's way to its user. Nothing else in the house prints."""

    def __init__(
        self,
        command: str,
        environment: str = "",
        output: Output = Output.TEXT,
        verbose: bool = False,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.command = command
        self.environment = environment
        self.json = output is Output.JSON
        self.verbose = verbose
        self.above: Callable[[str], None] | None = None  # where a tree is being drawn
        self.clean: Callable[[str], str] = str
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._deaf = False
        self._situation: FailureContext | None = None
        self._record: dict[str, Any] = {}

    @property
    def live(self) -> bool:
        """Progress goes to a terminal that can be redrawn, and a person looks at it."""
        dumb = os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
        return self._err.isatty() and not dumb and not self.json and not self.verbose

    def say(self, text: str) -> None:
        """Progress. A terminal that went away does not end the work."""
        if self._deaf:
            return
        try:
            if self.above:
                self.above(self.clean(text))
                return
            self._err.write(self._coloured(self.clean(text), self._err) + "\n")
            self._err.flush()
        except (BrokenPipeError, ConnectionError, OSError):
            self._deaf = True

    def text(self, text: str) -> None:
        """Data for people; with `--output json` the envelope says it."""
        if not self.json:
            self.raw(self._coloured(self.clean(text), self._out) + "\n")

    def raw(self, text: str) -> None:
        """Data exactly as it is, such as a log line."""
        self._out.write(text)
        self._out.flush()

    def done(self, data: Mapping[str, Any], text: str = "", code: int = Exit.DONE) -> int:
        """The command's result in either form. Returns the exit code it was given."""
        if self.json:
            self._envelope(code, data, None)
        elif text:
            self.text(text)
        return code

    def error(self, error: PlatformError) -> int:
        """The one rendering of an error. Returns its exit code."""
        from mlops_platform.console.failure import FailureContext, as_data, block

        situation = self._situation or FailureContext()
        if self.json:
            self._envelope(error.exit_code, self._record, as_data(error, situation))
        self.say(block(error, situation))
        return int(error.exit_code)

    def add(self, data: Mapping[str, Any]) -> None:
        """What the envelope says beside an error, if one comes."""
        self._record.update(data)

    def ended(self, situation: FailureContext, record: dict[str, Any]) -> None:
        """What is known of a run that is about to end with an error."""
        self._situation = situation
        self.add(record)

    def bug(self, trace: str, last_line: str) -> int:
        """Short, unless -v: where the record is and how to see more."""
        hint = "" if self.verbose else "run it again with -v to see where"
        return self.error(PlatformError(f"a bug: {last_line}", why=trace if self.verbose else "", hint=hint))

    @property
    def asks(self) -> bool:
        """Is there a person? Not when stdin is no terminal, or nobody sees the question."""
        return sys.stdin.isatty() and self._err.isatty()

    def confirm(self, question: str, word: str = "", cancel: Cancel | None = None) -> bool | None:
        """None when nobody can be asked. With `word` a yes is not enough: it must be typed.

        In a run Ctrl-C only sets its `cancel`, of which a program that reads hears nothing: with it this
        raises Interrupted.
        """
        if not self.asks:
            return None
        self._err.write(f"{question} [type {word}] " if word else f"{question} [y/N] ")
        self._err.flush()
        if cancel:
            _until_typed(cancel)
        answer = sys.stdin.readline().strip()
        return answer == word if word else answer.lower() in ("y", "yes")

    def listener(self, header: str, expected: Mapping[str, float]) -> Listener:
        """What shows a run here: a tree on a terminal, else a line an event."""
        if self.live:
            from mlops_platform.console.live import Live

            return Live(self, header, expected)
        from mlops_platform.console.plain import Plain

        return Plain(self.say, header, verbose=self.verbose)

    @property
    def progress(self) -> TextIO:
        """The stream progress goes to, for the tree, which draws by itself."""
        return self._err

    def _envelope(self, code: int, data: Mapping[str, Any], error: Mapping[str, Any] | None) -> None:
        """One line, so that a reader of a command that goes on can take it at once."""
        from mlops_platform.console.failure import OUTCOMES

        envelope = {
            "schema": ENVELOPE,
            "version": __version__,
            "command": self.command,
            "environment": self.environment,
            "outcome": OUTCOMES[Exit(code)],
            "exit_code": int(code),
            "data": data,
            "error": error,
        }
        self.raw(self.clean(json.dumps(envelope, ensure_ascii=False)) + "\n")

    @staticmethod
    def _coloured(text: str, stream: TextIO) -> str:
        """https://no-color.org"""
        return paint_marks(text) if stream.isatty() and not os.environ.get("NO_COLOR") else text


def _until_typed(cancel: Cancel) -> None:
    """Until there is a line, or the end of it, to be read."""
    import select

    from mlops_platform.adapters.wait import Pending, wait_until

    def typed() -> bool | Pending:
        return bool(select.select([sys.stdin], [], [], 0)[0]) or Pending("nothing typed")

    wait_until("an answer", typed, seconds=_PATIENCE_SECONDS, longest_delay=0.1, cancel=cancel)


__all__ = ["WIDTH", "Console", "Output"]
