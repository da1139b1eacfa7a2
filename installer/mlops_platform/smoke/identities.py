"""Owns the proof of who reads what in the secret store: every pair of components, and tokens of strangers.

It is asked from outside, over a port-forward: only here are tokens of every component to be had.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.adapters.vault import VaultError
from mlops_platform.base.digest import short_digest
from mlops_platform.base.progress import Progress
from mlops_platform.engine.result import Result

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault
    from mlops_platform.catalogue.catalogue import Component
    from mlops_platform.run.context import Context

_REFUSED = (400, 403)
_NOBODYS = "https://nobody.invalid"  # an audience


def digest(context: Context) -> str:
    """Of whom it is asked, and how."""
    from mlops_platform.steps.secrets.vault import policy

    assert context.store, "identities without a store"
    parts = [policy(c, context.store) for c in context.components]
    return short_digest([*parts, Path(__file__).read_text()])


def run(context: Context, progress: Progress) -> list[Result]:
    """Each component logs in as its Jobs do, reads its own secrets, and is refused everybody else's."""
    from mlops_platform.adapters.vault.session import login

    connection = context.vault
    results: list[Result] = []
    with connection.open() as address:
        for component in context.components:
            progress.say(component.name)
            token = connection.token(component.namespace, JOBS_ACCOUNT, connection.name)
            with login(address, component.name, token, context.redact) as vault:
                results += _pairs(context, component, vault)
            results += _strangers(context, component, address)
        results += _ended(context, address)
    return results


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


def _strangers(context: Context, component: Component, address: str) -> Iterator[Result]:
    """Tokens the cluster itself gave out, and not for this."""
    connection = context.vault
    elsewhere = next((c for c in context.components if c != component), None)
    tokens: dict[str, Callable[[], str]] = {
        "a token for somebody else": lambda: connection.token(component.namespace, JOBS_ACCOUNT, _NOBODYS),
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


def _ended(context: Context, address: str) -> Iterator[Result]:
    """A login that was revoked from outside stops working, and what it was good for ends with it."""
    from mlops_platform.adapters.vault.session import client

    connection, component = context.vault, context.components[0]
    identity = connection.token(component.namespace, JOBS_ACCOUNT, connection.name)
    with client(address) as api:
        auth = api.auth.kubernetes.login(component.name, identity)["auth"]
        context.redact(auth["client_token"])
        api.auth.token.revoke_self()
        yield _probe("a login that was revoked", True, api.auth.token.lookup_self)


def _enter(address: str, role: str, token: Callable[[], str]) -> None:
    from mlops_platform.adapters.vault.session import login

    with login(address, role, token()):
        pass


def _probe(name: str, refusal: bool, act: Callable[[], object]) -> Result:
    """Refused is a refusal by the store, in those words; anything else went wrong."""
    from hvac.exceptions import Forbidden, InvalidRequest

    started, title = time.monotonic(), f"refused: {name}" if refusal else name
    try:
        act()
    except (Forbidden, InvalidRequest, VaultError) as error:
        denied = not isinstance(error, VaultError) or error.status in _REFUSED
        ok, detail = refusal and denied, "" if refusal and denied else str(error)
    else:
        ok, detail = not refusal, "it was allowed" if refusal else ""
    return Result(title, ok, detail, round(time.monotonic() - started, 3), refusal)
