"""Owns what `${…}` may say in a component's values, scripts' environments and redirects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_platform.environment.issuer import issuer_of

if TYPE_CHECKING:
    from mlops_platform.catalogue.catalogue import Component
    from mlops_platform.run.context import Context


def template_variables(context: Context, component: Component) -> dict[str, str]:
    """What `${…}` may say in a component's values."""
    return {
        "name": component.name,
        "namespace": component.namespace,
        "domain": context.environment.domain,
        "site": context.environment.site,  # the domain with the gateway's port, as in a browser
        "machines": _machines(context),
        "environment": context.environment.name,
        "version": component.version,
        **_sizes(context, component),
    }


def _sizes(context: Context, component: Component) -> dict[str, str]:
    """What the environment gives it, or what it needs at least."""
    given, least = context.environment.components[component.name], component.resources
    return {key: getattr(given, key) or getattr(least, key) for key in ("cpu", "memory", "disk")}


def _machines(context: Context) -> str:
    """Whose tokens machines may come with, as issuer=audience pairs."""
    issuer = issuer_of(context.environment, context.catalog)
    return ",".join(issuer.machines) if issuer else ""
