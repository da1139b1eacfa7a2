"""Servers of components that people ask about one project: reached by a port-forward, with a token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlops_platform.adapters.kube import KubeError
from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import SERVER
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent


@contextmanager
def reached(
    context: Context, project: str, resolved: ResolvedComponent, port: str
) -> Iterator[tuple[str, str]]:
    """The address of a component's port, and a token of the project's account that only reads.

    As for data: the API server makes the token, so the caller needs the right to make tokens of this account
    and no password. Raises UsageError if there is no such project, StepError.
    """
    from mlops_platform.adapters.kube.forward import forward  # loads wsproto: imported at use

    component, kube = resolved.component, context.clients.kube
    assert component.projects, "asked for the part of a component without one"
    try:
        token = kube.token(project, SERVER, component.projects.token)
    except KubeError as error:
        if error.status != 404:
            raise
        raise UsageError(
            f"{context.environment.name} has no project {project}",
            command=f"mlops-platform project list --env {context.environment.name}",
        ) from error
    number = component.serves[port].port
    with forward(kube, component.namespace, f"service/{component.name}", number) as address:
        yield f"http://{address}", token
