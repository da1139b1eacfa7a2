"""All output: data on stdout, progress and errors on stderr, one envelope with JSON."""

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
_ANSWER_SECONDS = 12 * 3600.0


class Output(StrEnum):
    """The values of `--output`."""

    TEXT = "text"
    JSON = "json"


class Console:
    """The output of one command. No other code prints."""

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
        self.above: Callable[[str], None] | None = None  # prints above the tree while it is drawn
        self.redact: Callable[[str], str] = str
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._closed = False
        self._failure: FailureContext | None = None
        self._record: dict[str, Any] = {}

    @property
    def live(self) -> bool:
        """True: progress goes to a terminal that can be redrawn."""
        dumb = os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
        return self._err.isatty() and not dumb and not self.json and not self.verbose

    def say(self, text: str) -> None:
        """Print progress. A terminal that is gone does not end the run."""
        if self._closed:
            return
        try:
            if self.above:
                self.above(self.redact(text))
                return
            self._err.write(self._coloured(self.redact(text), self._err) + "\n")
            self._err.flush()
        except (BrokenPipeError, ConnectionError, OSError):
            self._closed = True

    def text(self, text: str) -> None:
        """Print data for people; with `--output json` the envelope has it."""
        if not self.json:
            self.raw(self._coloured(self.redact(text), self._out) + "\n")

    def raw(self, text: str) -> None:
        """Print data unchanged, such as a log line."""
        self._out.write(text)
        self._out.flush()

    def done(self, data: Mapping[str, Any], text: str = "", code: int = Exit.DONE) -> int:
        """Print the command's result, as text or JSON. Returns `code`."""
        if self.json:
            self._envelope(code, data, None)
        elif text:
            self.text(text)
        return code

    def error(self, error: PlatformError) -> int:
        """Print an error. Returns its exit code."""
        # imported at use: start-up time
        from mlops_platform.console.failure import FailureContext, as_data, block

        context = self._failure or FailureContext()
        if self.json:
            self._envelope(error.exit_code, self._record, as_data(error, context))
        self.say(block(error, context))
        return int(error.exit_code)

    def add(self, data: Mapping[str, Any]) -> None:
        """Add data to the envelope of a possible error."""
        self._record.update(data)

    def ended(self, context: FailureContext, record: dict[str, Any]) -> None:
        """Store what is known of a run that is about to end with an error."""
        self._failure = context
        self.add(record)

    def bug(self, trace: str, last_line: str) -> int:
        """Print an internal error; the traceback only with -v."""
        hint = "" if self.verbose else "run the command again with -v for the traceback"
        return self.error(PlatformError(f"a bug: {last_line}", why=trace if self.verbose else "", hint=hint))

    @property
    def asks(self) -> bool:
        """True: stdin and stderr are a terminal, so that questions can be answered."""
        return sys.stdin.isatty() and self._err.isatty()

    def confirm(self, question: str, word: str = "", cancel: Cancel | None = None) -> bool | None:
        """Ask; with `word` the answer must be that word. None without a terminal.

        During a run Ctrl-C only sets `cancel` and does not interrupt a read; pass it to raise Interrupted.
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
        """Return what displays a run: a tree on a terminal, otherwise one line per event."""
        if self.live:
            from mlops_platform.console.live import Live  # imported at use: start-up time

            return Live(self, header, expected)
        from mlops_platform.console.plain import Plain  # imported at use: start-up time

        return Plain(self.say, header, verbose=self.verbose)

    @property
    def progress(self) -> TextIO:
        """The stream of progress, for the tree, which draws itself."""
        return self._err

    def _envelope(self, code: int, data: Mapping[str, Any], error: Mapping[str, Any] | None) -> None:
        """One line, so that a reader of a command that follows can parse it at once."""
        from mlops_platform.console.failure import OUTCOMES  # imported at use: start-up time

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
        self.raw(self.redact(json.dumps(envelope, ensure_ascii=False)) + "\n")

    @staticmethod
    def _coloured(text: str, stream: TextIO) -> str:
        """https://no-color.org"""
        return paint_marks(text) if stream.isatty() and not os.environ.get("NO_COLOR") else text


def _until_typed(cancel: Cancel) -> None:
    """Wait until stdin has a line, or its end."""
    import select  # imported at use: start-up time

    from mlops_platform.adapters.wait import Pending, wait_until  # imported at use: start-up time

    def typed() -> bool | Pending:
        return bool(select.select([sys.stdin], [], [], 0)[0]) or Pending("nothing typed")

    wait_until("an answer", typed, seconds=_ANSWER_SECONDS, longest_delay=0.1, cancel=cancel)


__all__ = ["WIDTH", "Console", "Output"]
