"""Owns where people enter: every UI of the chosen components, as the gateway is told in routes.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import StepError
from mlops_platform.base.groups import GROUPS
from mlops_platform.catalogue.catalogue import IDENTITY, SIGN_ON, Component
from mlops_platform.environment.model import Environment

if TYPE_CHECKING:
    from mlops_platform.catalogue.component import Served
    from mlops_platform.run.context import Context

FILE = "routes.json"


def exposed_uis(context: Context) -> Iterator[tuple[Component, Served]]:
    """Every UI that is open here: an issuer that nobody uses has no login page."""
    for component in context.components:
        for name, served in component.serves.items():
            idle = context.environment.oidc and any(
                p.port == name for word, p in component.provides.items() if word == IDENTITY
            )
            if served.ui and not idle:
                yield component, served


def routes_of(context: Context) -> dict[str, Any]:
    """What routes.json says."""
    sign_on = context.provider_of(SIGN_ON)
    return {
        "domain": context.environment.domain,
        "site": context.environment.site,
        "groups": list(GROUPS),
        "sign_on": _place(sign_on, sign_on.serves[sign_on.provides[SIGN_ON].port]),
        "routes": [_route(context, component, served) for component, served in exposed_uis(context)],
    }


def proxy_secrets_of(context: Context) -> dict[str, str]:
    """What the gateway shows each UI that asks for a proof, by component."""
    return {
        component.name: context.secrets.read(component.namespace, f"{component.name}-{served.proxy_secret}")[
            "value"
        ]
        for component, served in exposed_uis(context)
        if served.proxy_secret
    }


def _place(component: Component, served: Served) -> dict[str, Any]:
    return {"service": f"{component.name}.{component.namespace}.svc", "port": served.port}


def _route(context: Context, component: Component, served: Served) -> dict[str, Any]:
    folder = context.catalog.folder(component.name)
    return {
        "host": served.host or component.name,
        "component": component.name,
        **_place(component, served),
        "groups": list(served.groups),
        "public": served.public,
        "paths": list(served.paths),
        "bearerPaths": list(served.bearer_paths),
        "logoutPaths": list(served.logout_paths),
        "logoutPage": (folder / served.logout_page).read_text() if served.logout_page else "",
    }


def gateway(context: Context) -> tuple[Component, Served] | None:
    """The chosen component people come in at, if there is one."""
    found = next((c for c in context.components if c.ingress), None)
    return (found, next(iter(found.serves.values()))) if found else None


def sign_out(environment: Environment) -> str:
    """The one link that ends a person's session, the UIs' cookies and the issuer's token."""
    return f"https://auth.{environment.site}/sign-out"


def authority_file(context: Context) -> Path:
    """The certificate people are to trust, in the state folder. Raises StepError when there is none."""
    entrance = gateway(context)
    held = entrance and context.secrets.read(entrance[0].namespace, f"{entrance[0].name}-certificate")
    if not held:
        name = context.environment.name
        raise StepError(
            f"{name} has no authority of its own",
            why="no certificate was made",
            command=f"mlops-platform up --env {name}",
        )
    file = context.state / "authority.crt"
    file.write_text(held["ca.crt"])
    return file
