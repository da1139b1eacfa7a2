"""Owns `status`: one row a component, or why the cluster cannot be asked."""

from __future__ import annotations

from installer.console import Console


def run(console: Console) -> int:
    from dataclasses import asdict

    from installer.console import screens
    from installer.reach import NotUp, reach, read_only
    from installer.session import open_environment
    from installer.status import rows_of

    opened = open_environment(console.environment)
    name = console.environment = opened.environment.name
    work = read_only(opened)
    try:
        reach(work)
    except NotUp:
        text = f"{name} is not up; `mlops-platform up --env {name}` brings it up"
        return console.done({"up": False, "rows": []}, text)
    rows = rows_of(work)
    data = {
        "up": True,
        "healthy": all(r.good for r in rows),
        "rows": [asdict(r) | {"good": r.good} for r in rows],
    }
    return console.done(data, screens.status(name, rows))
