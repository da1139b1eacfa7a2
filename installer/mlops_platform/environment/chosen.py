"""Components that an environment chooses from the catalogue."""

from __future__ import annotations

from mlops_platform.catalogue.catalogue import Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.environment.model import Environment


def chosen_components(environment: Environment, catalog: Catalog) -> tuple[Component, ...]:
    """Return the chosen components in the catalogue's order."""
    installed = environment.installed
    return tuple(e.component for n, e in catalog.entries.items() if n in installed)


def chosen_provider(environment: Environment, catalog: Catalog, capability: str) -> Component | None:
    """Return the chosen component that provides a capability, or None."""
    installed = environment.installed
    names = [n for n in catalog.providers(capability) if n in installed]
    return catalog[names[0]] if names else None
