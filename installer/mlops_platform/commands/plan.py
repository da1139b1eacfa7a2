"""`plan`: observe every step and run none; preview the changes to the cluster and their cost."""

from __future__ import annotations

from mlops_platform.base.errors import Exit, PreflightError
from mlops_platform.console import Console


def run(console: Console, *, only: str = "") -> int:
    from mlops_platform.commands._confirm import ConsoleProgress
    from mlops_platform.console.preview import plan
    from mlops_platform.report import preview
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.release.values import check_runnable

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    if not only:
        check_runnable(context)
    try:
        found, code = preview.build(context, ConsoleProgress(console), context.cancel, only), Exit.DONE
    except PreflightError as error:
        found, code = preview.without_asking(context, error), Exit.PREFLIGHT
    return console.done(found.as_data(), plan(found), code)
