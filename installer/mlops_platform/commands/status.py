"""`status`: one row a component, or the reason why the cluster does not answer."""

from __future__ import annotations

from mlops_platform.console import Console


def run(console: Console) -> int:
    from dataclasses import asdict

    from mlops_platform.base.errors import NotUp
    from mlops_platform.console import screens
    from mlops_platform.report.status import rows_of
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.projects.cluster import namespaces

    opened = open_environment(console.environment, lenient=True)
    name = console.environment = opened.environment.name
    context = read_only(opened)
    try:
        reach(context)
    except NotUp:
        text = f"{name} is not up; `mlops-platform up --env {name}` brings it up"
        return console.done({"up": False, "rows": []}, text)
    rows = rows_of(context)
    projects = sorted(each["metadata"]["name"] for each in namespaces(context, context.clients.kube))
    data = {
        "up": True,
        "healthy": all(r.good for r in rows),
        "rows": [asdict(r) | {"good": r.good} for r in rows],
        "projects": projects,
        "simulated": context.cluster.simulated,
    }
    return console.done(data, screens.status(name, rows, projects, context.cluster.simulated))
