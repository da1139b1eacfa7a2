"""Owns how an error looks: a block for people, the envelope's `error` for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import ConfigurationError, Exit, PlatformError
from mlops_platform.base.humanize import WIDTH, labelled, plural

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
    """What is known of the run an error ended: where its record lies, what else failed or did not begin."""

    journal: Path | None = None
    step: str = ""
    others: Sequence[str] = ()
    skipped: int = 0
    stays_up: bool = False


def block(error: PlatformError, situation: FailureContext) -> str:
    """What, why, hint, command, evidence, exit code; every label only when there is something to say."""
    title = "\n       ".join(textwrap.wrap(f"error: {error.what}", WIDTH - 7, break_long_words=False))
    step = f"step {situation.step}" if situation.step else ""
    if step and len(title) + len(step) + 2 <= WIDTH:
        title = title + step.rjust(WIDTH - len(title))
        step = ""
    lines = [title, ""]
    if step:
        lines += labelled("step", situation.step)
    if isinstance(error, ConfigurationError):
        lines += [line for p in error.problems for line in _problem(str(p))]
    elif error.why:
        lines += labelled("why", error.why, wrap=False)
    lines += labelled("hint", error.hint) if error.hint else []
    lines += labelled("command", error.command, wrap=False) if error.command else []
    lines += labelled("evidence", str(error.evidence), wrap=False) if error.evidence else []
    for number, other in enumerate(situation.others):
        lines += labelled("" if number else "also failed", other)
    if situation.skipped:
        lines += labelled("not begun", plural(situation.skipped, "step"))
    if situation.journal:
        lines += labelled("journal", str(situation.journal), wrap=False)
    last = "  everything else stays up; nothing was rolled back." if situation.stays_up else ""
    code = f"exit {int(error.exit_code)}"
    lines.append(last + code.rjust(WIDTH - len(last)))
    return "\n".join(lines)


def _problem(text: str) -> list[str]:
    first, *rest = labelled("", text, width=4)
    return [f"  {first.strip()}", *rest]


def as_data(error: PlatformError, situation: FailureContext) -> dict[str, Any]:
    """The envelope's `error`: always the same keys, '' or empty where there is nothing to say."""
    problems = error.problems if isinstance(error, ConfigurationError) else ()
    return {
        "what": error.what,
        "why": error.why,
        "hint": error.hint,
        "command": error.command,
        "evidence": str(error.evidence or ""),
        "step": situation.step,
        "others": list(situation.others),
        "journal": str(situation.journal or ""),
        "problems": [{"file": p.file, "line": p.line, "what": p.what, "hint": p.hint} for p in problems],
    }
