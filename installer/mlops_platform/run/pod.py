"""The environment of a pod of a project: a variable describes it, its components are in the catalogue."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlops_platform.adapters.kube.pod import PodKube
from mlops_platform.base import pod
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.read import read_catalog_leniently
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.project import ProjectContext


@dataclass(frozen=True)
class PodClients:
    """The client of the pod."""

    @cached_property
    def kube(self) -> PodKube:
        return PodKube()


def describe(environment: Environment) -> str:
    """The value of the variable: no settings, and no secrets."""
    components = {name: spec.source or "" for name, spec in environment.components.items()}
    found = {"name": environment.name, "domain": environment.domain, "port": environment.port}
    return json.dumps({**found, "components": components}, sort_keys=True)


def context_in_pod() -> ProjectContext:
    """The context of commands in this pod. Raises PreflightError.

    Components of the user's own are in no catalogue of a pod, and left out.
    """
    paths = Paths.default()
    catalog, _ = read_catalog_leniently(paths.assets / "helm-values")
    try:
        environment = _read(json.loads(os.environ[pod.VARIABLE]), set(catalog.entries))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PreflightError(
            f"{pod.VARIABLE} does not describe an environment",
            why=str(error),
            hint="start the pod again: it takes the variable from the ConfigMap of the project",
        ) from error
    return ProjectContext(environment, catalog, paths, Cancel(), PodClients())


def _read(found: dict[str, Any], known: set[str]) -> Environment:
    components = {
        name: ComponentSpec(source=source or None)
        for name, source in found["components"].items()
        if name in known
    }
    # No provider's code runs in a pod.
    return Environment(**{**found, "cluster": ClusterSpec(provider="pod"), "components": components})
