"""OIDC issuer: the environment's own, or the chosen component that is one."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.adapters.vault.issuer import AUDIENCE, endpoints
from mlops_platform.catalogue.catalogue import IDENTITY, Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.served import Served
from mlops_platform.environment.chosen import chosen_provider
from mlops_platform.environment.model import Environment


@dataclass(frozen=True)
class Issuer:
    """OIDC issuer of the platform. `url` is the `iss` of its tokens; '' for another address: discover it.

    `machines` are issuer=audience pairs of tokens that machines may use.
    """

    url: str
    machines: tuple[str, ...]
    groups_claim: str
    login: str = ""
    redeem: str = ""
    keys: str = ""


def origin(environment: Environment, component: Component, served: Served) -> str:
    """Return the public address of a served port, without a slash at the end."""
    if served.home:
        return f"https://{environment.site}"
    return f"https://{served.host or component.name}.{environment.site}"


def provider(environment: Environment, catalog: Catalog) -> Component | None:
    """Return the chosen component that is the issuer; None if the environment names one, or has none."""
    return None if environment.oidc else chosen_provider(environment, catalog, IDENTITY)


def issuer_of(environment: Environment, catalog: Catalog) -> Issuer | None:
    """Return the issuer; None if there is no sign-in."""
    if oidc := environment.oidc:
        pairs = tuple(f"{m.issuer}={m.audience}" for m in oidc.machines)
        return Issuer(oidc.issuer, pairs, oidc.groups_claim)
    chosen = provider(environment, catalog)
    if not chosen:
        return None
    public, inside = addresses(environment, chosen)
    at, page = endpoints(public, inside), public + chosen.provides[IDENTITY].page
    return Issuer(at.issuer, (f"{at.machines}={AUDIENCE}",), "groups", page, at.redeem, at.keys)


def addresses(environment: Environment, component: Component) -> tuple[str, str]:
    """Return the addresses of the issuer for browsers and for pods."""
    served = component.serves[component.provides[IDENTITY].port]
    inside = f"http://{component.name}.{component.namespace}.svc:{served.port}"
    return origin(environment, component, served), inside
