"""Clients at the OIDC issuer, each in a component's Secret.

In a client's template (`needs.client` in component.yaml) `${…}` may be: client_id, client_secret, issuer,
login_url, redeem_url, jwks_url, known (true: there is nothing to discover), scope, groups, groups_claim.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.vault.issuer import Wanted, configure
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import StepError
from mlops_platform.base.groups import GROUPS
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.documents import values_file
from mlops_platform.catalogue.needs import ClientNeed
from mlops_platform.engine.graph import Difference
from mlops_platform.environment.issuer import addresses, issuer_of, provider
from mlops_platform.steps.base import ComponentStep

_MADE = "made-from"
_SECRET_FILE = "client-secret"  # noqa: S105
# Vault has these scopes; another issuer gets the same request, and answers with the scopes it knows.
_SCOPE = "openid email profile groups"


@dataclass(frozen=True)
class MakeClient(ComponentStep):
    """A component's client at the issuer: the filled-in template and the client's secret."""

    act = "client"

    @property
    def _need(self) -> ClientNeed:
        need = self.resolved.component.needs.client
        assert need, "planned only for a component that needs a client"
        return need

    def observe(self) -> Difference | None:
        stored = self.context.secrets.read(self.resolved.namespace, self.resolved.secret("client"))
        if not stored:
            return Difference("make the client")
        return None if stored.get(_MADE) == self._digest() else Difference("make the client again")

    def run(self, progress: Progress) -> None:
        """Raises StepError if the Secret that the environment names has no client secret."""
        self.context.clients.kube_for_write()
        client_id, secret = self._from_environment() if self.context.environment.oidc else self._at_vault()
        filled = fill(self._template(), self._variables(client_id, secret))
        values = {
            self._need.template: json.dumps(filled, indent=1),
            _SECRET_FILE: secret,
            "client-id": client_id,
            _MADE: self._digest(),
        }
        self.context.secrets.write(self.resolved.namespace, self.resolved.secret("client"), values)

    def _variables(self, client_id: str, secret: str) -> dict[str, Any]:
        issuer = issuer_of(self.context.environment, self.context.catalog)
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

    def _template(self) -> Any:
        return values_file(self.resolved.folder / self._need.template)

    def _at_vault(self) -> tuple[str, str]:
        """Id and secret of a client that Vault, as the issuer, makes."""
        with self.context.vault.session() as vault:
            client = configure(vault.client, self._wanted())
        self.context.redact(client.secret)
        return client.id, client.secret

    def _wanted(self) -> Wanted:
        context = self.context
        chosen = provider(context.environment, context.catalog)
        assert chosen, "an issuer of the platform's own"
        redirects = tuple(substitute(self._need.redirects, self.resolved.variables))
        return Wanted(self.resolved.name, *addresses(context.environment, chosen), redirects)

    def _from_environment(self) -> tuple[str, str]:
        """Id and secret of the client in the environment file; the secret is in a Secret that it names."""
        oidc = self.context.environment.oidc
        assert oidc
        place = oidc.client_secret_from
        secret = self.context.cluster_secrets.read(place.namespace, place.name).get(place.key, "")
        if not secret:
            kube = self.context.clients.kube
            raise StepError(
                "the OIDC client's secret is not there",
                why=f"Secret {place.name} in namespace {place.namespace} has no key {place.key}",
                hint="create it: oidc.clientSecretFrom in the environment names it",
                command=kube.kubectl("--namespace", place.namespace, "get", "secret", place.name),
            )
        return oidc.client_id, secret.strip()

    def _digest(self) -> str:
        """Covers all inputs of the client, except the id and secret that the issuer chooses."""
        own = self.context.environment.oidc
        made_from: object = self._from_environment() if own else self._wanted().digest
        return short_digest([made_from, self._variables("", ""), self._template()])


def fill(value: Any, variables: Mapping[str, Any]) -> Any:
    """Replace a value `${name}` by the variable, of any type; remove a key whose variable is None."""
    if isinstance(value, Mapping):
        filled = {key: fill(each, variables) for key, each in value.items()}
        return {key: each for key, each in filled.items() if each is not None}
    if isinstance(value, list):
        return [fill(each, variables) for each in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        return variables[value[2:-1]]
    return value
