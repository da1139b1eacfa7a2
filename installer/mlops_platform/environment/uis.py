"""The UIs that the chosen components expose, and the gateway's table of them (routes.json)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_platform.base.groups import GROUPS
from mlops_platform.catalogue.catalogue import IDENTITY, SIGN_ON, Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.served import Served
from mlops_platform.environment.chosen import chosen_components, chosen_provider
from mlops_platform.environment.model import Environment

MODELS_HOST = "models"  # the name below the domain at which models of all projects answer
ROUTES_FILE = "routes.json"


def exposed_uis(environment: Environment, catalog: Catalog) -> Iterator[tuple[Component, Served]]:
    """Every UI that is open here. An issuer that is not in use has no login page."""
    for component in chosen_components(environment, catalog):
        for name, served in component.serves.items():
            unused = environment.oidc and any(
                p.port == name for capability, p in component.provides.items() if capability == IDENTITY
            )
            if served.ui and not unused:
                yield component, served


def models_router(environment: Environment, catalog: Catalog) -> tuple[Component, str] | None:
    """The chosen component that routes requests to models, and its port for pods of projects, or None."""
    for component in chosen_components(environment, catalog):
        if any(served.host == MODELS_HOST for served in component.serves.values()):
            port = next((name for name, served in component.serves.items() if served.projects), "")
            return (component, port) if port else None
    return None


def gateway(environment: Environment, catalog: Catalog) -> tuple[Component, Served] | None:
    """The chosen component that is the ingress of every UI, and its port; None when there is none."""
    found = next((c for c in chosen_components(environment, catalog) if c.ingress), None)
    return (found, next(iter(found.serves.values()))) if found else None


def routes(environment: Environment, catalog: Catalog) -> dict[str, Any]:
    """The contents of routes.json."""
    sign_on = chosen_provider(environment, catalog, SIGN_ON)
    assert sign_on, "an ingress requires sign-on"
    late = catalog.late_uis(component.name for component in chosen_components(environment, catalog))
    return {
        "domain": environment.domain,
        "site": environment.site,
        "groups": list(GROUPS),
        "sign_on": _address(sign_on, sign_on.serves[sign_on.provides[SIGN_ON].port]),
        "routes": [
            {**_route(catalog, component, ui), "late": component.name in late}
            for component, ui in exposed_uis(environment, catalog)
        ],
    }


def home(environment: Environment, catalog: Catalog) -> tuple[Component, Served] | None:
    """The chosen component that is the home page, and its port; None when there is none."""
    exposed = exposed_uis(environment, catalog)
    return next(((component, served) for component, served in exposed if served.home), None)


def sign_out(environment: Environment) -> str:
    """The one link that ends a person's session, the UIs' cookies and the issuer's token."""
    return f"https://auth.{environment.site}/sign-out"


def _address(component: Component, served: Served) -> dict[str, Any]:
    return {"service": f"{component.name}.{component.namespace}.svc", "port": served.port}


def _route(catalog: Catalog, component: Component, served: Served) -> dict[str, Any]:
    folder = catalog.folder(component.name)
    return {
        "host": "" if served.home else served.host or component.name,  # '': the domain itself
        "component": component.name,
        **_address(component, served),
        "groups": list(served.groups),
        "public": served.public,
        "paths": list(served.paths),
        "bearerPaths": list(served.bearer_paths),
        "ownTokens": served.own_tokens,
        "logoutPaths": list(served.logout_paths),
        "logoutPage": (folder / served.logout_page).read_text() if served.logout_page else "",
    }
