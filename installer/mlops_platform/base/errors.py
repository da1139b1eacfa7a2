"""Exceptions and exit codes. Every error has a text, a reason, a hint and a command.

PlatformError
├── UsageError            2   wrong command line
├── ConfigurationError    3   environment or catalogue files; carries every Problem found
├── PreflightError        4   the machine or account is not ready
├── StepError             5   a step of the run failed
│   ├── CommandFailed         a program ended with an unexpected status
│   └── WaitTimedOut          a deadline passed
├── SmokeError            6   the platform is up, and a smoke test failed
├── LeftoversError        7   `down` found leftovers, or could not look for them
├── LockedError           8   another run works on this environment
└── Interrupted         130   Ctrl-C or SIGTERM
Any other exception is a bug: exit code 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of the command line; see docs/operations.md."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    PREFLIGHT = 4
    STEP = 5
    SMOKE = 6
    LEFTOVERS = 7
    LOCKED = 8
    INTERRUPTED = 130


class PlatformError(Exception):
    """Error that a user can act on.

    `what` is one line; `why` is the last observation, in one or many lines; `hint` is an instruction;
    `command` can be pasted into a shell; `evidence` is a folder with logs.
    """

    exit_code = Exit.BUG

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        command: str = "",
        evidence: Path | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint
        self.command = command
        self.evidence = evidence


class UsageError(PlatformError):
    exit_code = Exit.USAGE


@dataclass(frozen=True, order=True)
class Problem:
    """A problem in a file: its line (0: the whole file), what is wrong and how to fix it."""

    file: str
    line: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return _one_line(f"{place}: {self.what}" + (f" ({self.hint})" if self.hint else ""))


def _one_line(text: str, most: int = 1000) -> str:
    """Escape control characters and shorten the text: a file can hold any text."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)


class ConfigurationError(PlatformError):
    """All problems of all files, found before anything is changed."""

    exit_code = Exit.CONFIGURATION

    def __init__(
        self, problems: tuple[Problem, ...], where: str = "in the configuration; nothing was changed"
    ) -> None:
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        super().__init__(
            f"{count} {where}",
            why="\n".join(str(problem) for problem in problems),
        )
        self.problems = problems


class PreflightError(PlatformError):
    exit_code = Exit.PREFLIGHT


class StepError(PlatformError):
    """Failed step. `transient`: a second run may succeed."""

    exit_code = Exit.STEP

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        command: str = "",
        evidence: Path | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(what, why=why, hint=hint, command=command, evidence=evidence)
        self.transient = transient


class CommandFailed(StepError):
    """Program that ended with an unexpected status; `why` is the end of its output."""

    def __init__(self, what: str, *, returncode: int, why: str, command: str, hint: str = "") -> None:
        super().__init__(what, why=why, command=command, hint=hint)
        self.returncode = returncode


class WaitTimedOut(StepError):
    """Deadline that passed; `why` is the last observation."""


class NotUp(StepError):
    """The environment was never up here, its cluster was not completed, or it has been taken down."""

    def __init__(self, environment: str) -> None:
        command = f"mlops-platform up --env {environment}"
        super().__init__(f"{environment} is not up", hint="bring it up first", command=command)


class SmokeError(PlatformError):
    exit_code = Exit.SMOKE


class LeftoversError(PlatformError):
    exit_code = Exit.LEFTOVERS


class LockedError(PlatformError):
    exit_code = Exit.LOCKED


class Interrupted(PlatformError):
    exit_code = Exit.INTERRUPTED
