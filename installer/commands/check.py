"""Owns `check`: every line of the preflight, whatever the others say."""

from __future__ import annotations

from installer.console import Console
from installer.errors import Exit


def run(console: Console) -> int:
    from dataclasses import asdict

    from installer.console import screens
    from installer.reach import read_only
    from installer.session import open_environment
    from installer.steps.check import machine_checks

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    checks = machine_checks(read_only(opened))
    code = Exit.PREFLIGHT if any(c.status == "failure" for c in checks) else Exit.DONE
    return console.done({"checks": [asdict(c) for c in checks]}, screens.check(checks), code)
