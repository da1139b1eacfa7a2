"""Servers of components that people ask about one project: reached by a port-forward, or from a pod of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_platform.adapters.kube import KubeError
from mlops_platform.base.errors import UsageError
from mlops_platform.base.labels import SERVER, TOKENS_PATH
from mlops_platform.base.pod import in_pod
from mlops_platform.catalogue.component import Component
from mlops_platform.run.project import ProjectContext

_TOKENS = Path(TOKENS_PATH)


@contextmanager
def reached(
    context: ProjectContext, project: str, component: Component, port: str
) -> Iterator[tuple[str, str]]:
    """The address of a component's port, and a token: of the account that only reads, or of the pod.

    As for data: the API server makes the token, so the caller needs the right to make tokens of this account
    and no password. Raises UsageError if there is no such project, StepError.
    """
    if in_pod():
        yield _from_pod(component, port)
        return
    from mlops_platform.adapters.kube.forward import forward  # loads wsproto: imported at use

    kube = context.clients.kube
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


def _from_pod(component: Component, port: str) -> tuple[str, str]:
    """The address inside the cluster, and the token of the pod for this component."""
    served = component.serves[port]
    assert component.projects, "asked for the part of a component without one"
    token = _TOKENS / component.projects.token
    if not (served.projects and token.is_file()):
        raise UsageError(
            f"pods of projects do not reach {component.name}",
            hint="give the command where the environment was made, or open its page in a browser",
        )
    return f"http://{component.name}.{component.namespace}.svc:{served.port}", token.read_text().strip()
