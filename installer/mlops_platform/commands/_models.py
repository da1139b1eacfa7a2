"""Served models that commands name: found, or an error that lists those of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.report.models import Row
    from mlops_platform.run.project import ProjectContext


def row_of(console: Console, context: ProjectContext, name: str, project: str) -> Row:
    from mlops_platform.report.models import rows_of

    rows = rows_of(context, project, name)
    if not rows:
        raise unknown(console, context, name, project)
    return rows[0]


def unknown(console: Console, context: ProjectContext, name: str, project: str) -> UsageError:
    from mlops_platform.report.models import rows_of

    known = ", ".join(row.name for row in rows_of(context, project)) or "none yet"
    return UsageError(
        f"no model {name} is served in {project}",
        why=f"served: {known}",
        command=f"mlops-platform model list --project {project} --env {console.environment}",
    )


def require_same_model(console: Console, existing: dict[str, Any], model: str, project: str) -> None:
    """Raise UsageError if the name is that of another model's service, and was not given."""
    from mlops_platform.adapters.kube.inference import model_of

    name, other = existing["metadata"]["name"], model_of(existing)
    if other != model:
        raise UsageError(
            f"{name} serves {other or 'an object of its own'}; nothing was changed",
            why=f"the name of the service of {model} is {name} as well",
            hint="give another name, or this one to replace what it serves",
            command=f"mlops-platform model serve {model} --name NAME --project {project} "
            f"--env {console.environment}",
        )
