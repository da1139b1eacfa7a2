"""The rendering of an error: a block of text, or the envelope's `error`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Exit, PlatformError
from mlops_platform.base.humanize import WIDTH, labelled, plain, plural

OUTCOMES = {
    Exit.DONE: "done",
    Exit.BUG: "bug",
    Exit.USAGE: "usage",
    Exit.CONFIGURATION: "configuration",
    Exit.PREFLIGHT: "preflight",
    Exit.STEP: "failed",
    Exit.SMOKE: "smoke_failed",
    Exit.LEFTOVERS: "leftovers",
    Exit.LOCKED: "locked",
    Exit.INTERRUPTED: "interrupted",
}


@dataclass(frozen=True)
class FailureContext:
    """The run that an error ended: its record, the other failures, the number of steps not started."""

    journal: Path | None = None
    step: str = ""
    others: Sequence[str] = ()
    skipped: int = 0
    stays_up: bool = False


def block(error: PlatformError, context: FailureContext) -> str:
    """Render what, why, hint, command, evidence and exit code; a label without a value is left out."""
    title = "\n       ".join(textwrap.wrap(f"error: {error.what}", WIDTH - 7, break_long_words=False))
    step = f"step {context.step}" if context.step else ""
    if step and len(title) + len(step) + 2 <= WIDTH:
        title = title + step.rjust(WIDTH - len(title))
        step = ""
    lines = [title, ""]
    if step:
        lines += labelled("step", context.step)
    if isinstance(error, ConfigurationError):
        lines += [line for p in error.problems for line in _problem(str(p))]
    elif error.why:
        lines += labelled("why", plain(error.why), wrap=False)
    lines += labelled("hint", error.hint) if error.hint else []
    lines += labelled("command", error.command, wrap=False) if error.command else []
    lines += labelled("evidence", str(error.evidence), wrap=False) if error.evidence else []
    for number, other in enumerate(context.others):
        lines += labelled("" if number else "also failed", other)
    if context.skipped:
        lines += labelled("not started", plural(context.skipped, "step"))
    if context.journal:
        lines += labelled("journal", str(context.journal), wrap=False)
    last = "  everything else stays up; nothing was rolled back." if context.stays_up else ""
    code = f"exit {int(error.exit_code)}"
    lines.append(last + code.rjust(WIDTH - len(last)))
    return "\n".join(lines)


def _problem(text: str) -> list[str]:
    first, *rest = labelled("", text, width=4)
    return [f"  {first.strip()}", *rest]


def as_data(error: PlatformError, context: FailureContext) -> dict[str, Any]:
    """The envelope's `error`: always the same keys; '' or empty without a value."""
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    return {
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
        "command": error.command,
        "evidence": str(error.evidence or ""),
        "step": context.step,
        "others": list(context.others),
        "journal": str(context.journal or ""),
        "problems": [{"file": p.file, "line": p.line, "what": p.what, "hint": p.hint} for p in problems],
    }
