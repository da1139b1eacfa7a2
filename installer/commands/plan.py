"""Owns `plan`: every step observed, none run; and what the cluster would become, and cost."""

from __future__ import annotations

from installer.console import Console
from installer.errors import Exit, PreflightError


def run(console: Console, *, only: str = "") -> int:
    from installer import preview
    from installer.consent import Told
    from installer.console.preview import plan
    from installer.reach import read_only
    from installer.releases import refuse_unrunnable
    from installer.session import open_environment

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    work = read_only(opened)
    if not only:
        refuse_unrunnable(work)
    try:
        found, code = preview.build(work, Told(console), work.cancel, only), Exit.DONE
    except PreflightError as error:
        found, code = preview.without_asking(work, error), Exit.PREFLIGHT
    return console.done(found.as_data(), plan(found), code)
