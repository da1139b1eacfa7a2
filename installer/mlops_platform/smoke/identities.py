"""The smoke test of identities: each component's access to secrets in Vault, and the tokens Vault rejects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.adapters.vault import VaultError
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.checks import IDENTITIES
from mlops_platform.catalogue.component import Component
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.steps.secrets.vault import policy

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault

_REFUSED = (400, 403)
_OTHER = "https://other.invalid"  # an audience


@dataclass(frozen=True)
class IdentitiesTest:
    """Every pair of components and Vault's secrets: each reads its own; Vault denies all others.

    It runs on this machine, over a port-forward: only here are tokens for all components available.
    """

    context: Context
    name: str = IDENTITIES
    id: str = f"{IDENTITIES}/smoke"
    what: str = "test every pair of components and secrets"

    @property
    def _vault(self) -> Component:
        assert self.context.store, "planned only with Vault"
        return self.context.store

    @property
    def layer(self) -> str:
        return self._vault.layer

    @cached_property
    def digest(self) -> str:
        """Covers the policies and this script."""
        policies = [policy(component, self._vault) for component in self.context.components]
        return short_digest([*policies, Path(__file__).read_text()])

    def run(self, kube: Kube, progress: Progress) -> list[Result]:
        """Log in the same way as each component's Jobs do."""
        from mlops_platform.adapters.vault.session import login  # loads hvac

        context, connection = self.context, self.context.vault
        results: list[Result] = []
        with connection.open() as address:
            for component in context.components:
                progress.say(component.name)
                token = connection.token(component.namespace, JOBS_ACCOUNT, connection.name)
                with login(address, component.name, token, context.redact) as vault:
                    results += _pairs(context, component, vault)
                results += _wrong_tokens(context, component, address)
            results += _revoked(context, address)
        return results

    def error(self, results: Sequence[Result]) -> SmokeError:
        failed = [result for result in results if not result.ok]
        return SmokeError(
            f"Vault: {len(failed)} of {len(results)} tests failed",
            why="\n".join(f"{result.name}: {result.detail}" for result in failed),
            hint="run up: it writes Vault's policies and roles again",
            command=f"mlops-platform up --env {self.context.environment.name}",
        )


def _pairs(context: Context, component: Component, vault: Vault) -> Iterator[Result]:
    for other in context.components:
        own = other == component
        paths = [f"secret/data/platform/{other.name}/any"]
        if other.needs.database:
            paths.append(f"database/static-creds/{other.name}")
        for path in paths:
            what = "database password" if path.startswith("database") else "secrets"
            whose = f"its own {what}" if own else f"the {what} of {other.name}"
            name = f"{component.name} reads {whose}"
            yield _probe(name, not own, partial(vault.read, path))


def _wrong_tokens(context: Context, component: Component, address: str) -> Iterator[Result]:
    """Negative tests with tokens that the cluster issued for another purpose."""
    connection = context.vault
    elsewhere = next((c for c in context.components if c != component), None)
    tokens: dict[str, Callable[[], str]] = {
        "a token for another audience": lambda: connection.token(component.namespace, JOBS_ACCOUNT, _OTHER),
        "the namespace's default account": lambda: connection.token(
            component.namespace, "default", connection.name
        ),
    }
    if elsewhere:
        tokens[f"an account of {elsewhere.name}"] = lambda: connection.token(
            elsewhere.namespace, JOBS_ACCOUNT, connection.name
        )
    for what, token in tokens.items():
        yield _probe(f"{what} as {component.name}", True, partial(_enter, address, component.name, token))


def _revoked(context: Context, address: str) -> Iterator[Result]:
    """A negative test: a revoked login no longer works."""
    from mlops_platform.adapters.vault.session import client  # imported at use: start-up time

    connection, component = context.vault, context.components[0]
    identity = connection.token(component.namespace, JOBS_ACCOUNT, connection.name)
    with client(address) as api:
        auth = api.auth.kubernetes.login(component.name, identity)["auth"]
        context.redact(auth["client_token"])
        api.auth.token.revoke_self()
        yield _probe("a login that was revoked", True, api.auth.token.lookup_self)


def _enter(address: str, role: str, token: Callable[[], str]) -> None:
    from mlops_platform.adapters.vault.session import login  # imported at use: start-up time

    with login(address, role, token()):
        pass


def _probe(name: str, negative: bool, act: Callable[[], object]) -> Result:
    """Run one test. Only an explicit denial by Vault counts as refused; any other error is a failure."""
    from hvac.exceptions import Forbidden, InvalidRequest  # imported at use: start-up time

    started, title = time.monotonic(), f"refused: {name}" if negative else name
    try:
        act()
    except (Forbidden, InvalidRequest, VaultError) as error:
        denied = not isinstance(error, VaultError) or error.status in _REFUSED
        ok, detail = negative and denied, "" if negative and denied else str(error)
    else:
        ok, detail = not negative, "it was allowed" if negative else ""
    return Result(title, ok, detail, round(time.monotonic() - started, 3), negative)
