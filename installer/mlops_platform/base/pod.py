"""The mode for pods of projects, such as the terminal of a notebook: commands of the pod's own project only.

The variable is in the ConfigMap of each project, which its pods take as their environment. Such a pod has no
state folder, no kubeconfig, and the rights of its account.
"""

from __future__ import annotations

import os

from mlops_platform.base.errors import UsageError

# The environment of the pod: JSON with name, domain, port, and the names of its components.
VARIABLE = "MLOPS_PLATFORM_POD"
PROJECT_VARIABLE = "MLOPS_PLATFORM_PROJECT"  # the default of --project
_COMMANDS = (
    "experiment list",
    "experiment show",
    "job list",
    "job logs",
    "job stop",
    "model list",
    "model serve",
    "model show",
    "model stop",
)


def in_pod() -> bool:
    """Tell whether this process is in a pod of a project."""
    return bool(os.environ.get(VARIABLE))


def require_available(command: str) -> None:
    """Raise UsageError for a command that a pod of a project cannot run."""
    if in_pod() and command not in _COMMANDS:
        raise UsageError(
            f"{command} is not available in a pod of a project",
            why="a pod has the rights of its account in one project, and no files of the environment",
            hint=f"run it where the environment was made; here are {', '.join(_COMMANDS)}",
        )


def require_own_project(project: str) -> None:
    """Raise UsageError for another project than that of the pod."""
    own = os.environ.get(PROJECT_VARIABLE, "")
    if project != own:
        raise UsageError(
            f"project {project} is not that of this pod",
            why=f"its account has rights in {own} only",
            hint=f"leave --project out, or open a notebook in {project}",
        )
