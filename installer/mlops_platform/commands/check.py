"""`check`: every check of the preflight, also after one of them failed."""

from __future__ import annotations

from mlops_platform.base.errors import Exit
from mlops_platform.console import Console


def run(console: Console) -> int:
    from dataclasses import asdict

    from mlops_platform.console import screens
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.check import machine_checks

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    checks = machine_checks(read_only(opened))
    code = Exit.PREFLIGHT if any(c.status == "failure" for c in checks) else Exit.DONE
    return console.done({"checks": [asdict(c) for c in checks]}, screens.check(checks), code)
