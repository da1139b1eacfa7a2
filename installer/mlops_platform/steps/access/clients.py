"""Owns clients at the OIDC issuer, each in a component's Secret.

In a client's template (`needs.client` in component.yaml) `${…}` may be: client_id, client_secret, issuer,
login_url, redeem_url, jwks_url, known (true: there is nothing to discover), scope, groups, groups_claim.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import StepError
from mlops_platform.base.groups import GROUPS
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.environment.issuer import addresses, issuer_of, provider
from mlops_platform.run.variables import template_variables

if TYPE_CHECKING:
    from mlops_platform.run.context import Context

_MADE = "made-from"
_SECRET_FILE = "client-secret"  # noqa: S105
# What our own issuer has scopes for; another is asked for the same, and sends what it knows of them.
_SCOPE = "openid email profile groups"


def observe_client(context: Context, component: Component) -> str:
    """'' or, in words, why the component's client is to be made."""
    held = context.secrets.read(component.namespace, f"{component.name}-client")
    if not held:
        return "make the client"
    return "" if held.get(_MADE) == _digest(context, component) else "make the client anew"


def make_client(context: Context, component: Component) -> None:
    """The client at the issuer, and its Secret: the filled-in template, the secret. Raises StepError."""
    client_id, secret = _given(context) if context.environment.oidc else _made(context, component)
    need = component.needs.client
    assert need, f"{component.name} asks for no client"
    filled = fill(_template(context, component), _words(context, client_id, secret))
    values = {
        need.template: json.dumps(filled, indent=1),
        _SECRET_FILE: secret,
        "client-id": client_id,
        _MADE: _digest(context, component),
    }
    context.secrets.write(component.namespace, f"{component.name}-client", values)


def fill(value: Any, template_variables: Mapping[str, Any]) -> Any:
    """`${word}` as a whole value becomes what the word is, of any type; a key whose word is None goes."""
    if isinstance(value, Mapping):
        filled = {key: fill(each, template_variables) for key, each in value.items()}
        return {key: each for key, each in filled.items() if each is not None}
    if isinstance(value, list):
        return [fill(each, template_variables) for each in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        return template_variables[value[2:-1]]
    return value


def _words(context: Context, client_id: str, secret: str) -> dict[str, Any]:
    issuer = issuer_of(context.environment, context.catalog)
    assert issuer, "a client without an issuer"
    return {
        "client_id": client_id,
        "client_secret": secret,
        "issuer": issuer.url,
        "login_url": issuer.login or None,
        "redeem_url": issuer.redeem or None,
        "jwks_url": issuer.keys or None,
        "known": bool(issuer.keys),
        "scope": _SCOPE,
        "groups": list(GROUPS),
        "groups_claim": issuer.groups_claim,
    }


def _template(context: Context, component: Component) -> Any:
    from mlops_platform.catalogue.catalogue import values_file

    need = component.needs.client
    assert need
    return values_file(context.catalog.folder(component.name) / need.template)


def _redirects(context: Context, component: Component) -> tuple[str, ...]:
    need = component.needs.client
    assert need
    return tuple(substitute(need.redirects, template_variables(context, component)))


def _made(context: Context, component: Component) -> tuple[str, str]:
    """At the chosen component that is the issuer."""
    from mlops_platform.adapters.vault import issuer

    with context.vault.session() as vault:
        client = issuer.configure(vault.client, _wanted(context, component))
    context.redact(client.secret)
    return client.id, client.secret


def _wanted(context: Context, component: Component) -> Any:
    from mlops_platform.adapters.vault.issuer import Wanted

    chosen = provider(context.environment, context.catalog)
    assert chosen
    at = addresses(context.environment, chosen)
    return Wanted(component.name, *at, _redirects(context, component))


def _given(context: Context) -> tuple[str, str]:
    """As the environment says; its secret lies where somebody has put it."""
    oidc = context.environment.oidc
    assert oidc
    place = oidc.client_secret_from
    secret = context.cluster_secrets.read(place.namespace, place.name).get(place.key, "")
    if not secret:
        raise StepError(
            "the OIDC client's secret is not there",
            why=f"Secret {place.name} in namespace {place.namespace} has no key {place.key}",
            hint="put it there: oidc.clientSecretFrom in the environment names it",
            command=context.clients.kube.kubectl("--namespace", place.namespace, "get", "secret", place.name),
        )
    return oidc.client_id, secret.strip()


def _digest(context: Context, component: Component) -> str:
    """Of all that goes into the client, the issuer's choice of id and secret apart."""
    made_from = _given(context) if context.environment.oidc else _wanted(context, component).digest
    parts = [made_from, _words(context, "", ""), _template(context, component)]
    return short_digest(parts)
