"""Commands that change objects of a project's members: without a run, journal and lock of the environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlops_platform.base.errors import Interrupted
from mlops_platform.base.pod import in_pod, require_own_project
from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.context import Context
    from mlops_platform.run.project import ProjectContext


def context_of_project(console: Console, project: str) -> ProjectContext:
    """The context of a project that exists and is not being removed; in a pod, that of the pod's project.

    Raises UsageError.
    """
    if not in_pod():
        return whole_context_of_project(console, project)
    from mlops_platform.run.pod import context_in_pod

    require_own_project(project)
    context = context_in_pod()
    console.environment = context.environment.name
    return context


def whole_context_of_project(console: Console, project: str) -> Context:
    """The context of a project, with all that a run has, for commands that no pod has. Raises UsageError."""
    from mlops_platform.commands.project import require_project
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.open import open_environment
    from mlops_platform.steps.projects.keep import being_removed

    opened = open_environment(console.environment)
    console.environment = opened.environment.name
    context = read_only(opened)
    reach(context)
    if require_project(context, project).removing:
        raise being_removed(context, project)
    return context


@contextmanager
def interruptible(
    command: str, hint: str = "what has started goes on in the cluster; look at it again"
) -> Iterator[None]:
    """Name the command that shows how it went on, if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", hint=hint, command=command) from error
