"""The context of commands about one project: on a machine, or in a pod of the project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.environment.chosen import chosen_components
from mlops_platform.environment.model import Environment

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube


class HasKube(Protocol):
    """A source of a client."""

    @property
    def kube(self) -> Kube:
        """The client of the cluster's API server."""


@dataclass(frozen=True)
class ProjectContext:
    """An environment, and access to its cluster."""

    environment: Environment
    catalog: Catalog
    paths: Paths
    cancel: Cancel
    clients: HasKube

    @property
    def state(self) -> Path:
        """This environment's state folder."""
        return self.paths.environment(self.environment.name)

    @property
    def components(self) -> tuple[Component, ...]:
        """The chosen components, in the catalogue's order."""
        return chosen_components(self.environment, self.catalog)
