"""Local users, stored at the platform's own issuer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.environment.issuer import provider

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.users import Users
    from mlops_platform.run.context import Context
    from mlops_platform.run.resolved import ResolvedComponent

PEOPLE = "people"


def require_own_issuer(context: Context) -> None:
    """Raises UsageError if another issuer manages the users of this environment."""
    if oidc := context.environment.oidc:
        raise UsageError(
            "this environment manages no users",
            why=f"they come from {oidc.issuer}",
            hint="add them at that issuer, to one of the platform's groups",
            command=f"mlops-platform env show {context.environment.name}",
        )
    if not provider(context.environment, context.catalog):
        raise UsageError("this environment has no users", hint="choose a component that provides identity")


@contextmanager
def users(context: Context) -> Iterator[Users]:
    """A session with the platform's own issuer. Raises UsageError if there is none."""
    require_own_issuer(context)
    from mlops_platform.adapters.vault.users import Users  # imported at use: start-up time

    with context.vault.session() as vault:
        yield Users(vault.client)


@contextmanager
def trial(context: Context, resolved: ResolvedComponent) -> Iterator[None]:
    """Users for a component's smoke test, in its Secret `<name>-people`; deleted at the end.

    Users left by a killed run are deleted by the next run. With another issuer there are none.
    """
    people: dict[str, dict[str, str]] = {}
    name = resolved.secret(PEOPLE)
    local = provider(context.environment, context.catalog) is not None
    try:
        if local:
            with users(context) as known:
                people = known.begin_trial(token_hex(4))
        # Only in the cluster: it exists for minutes, so Vault needs no version of it.
        context.cluster_secrets.write(resolved.namespace, name, {f"{PEOPLE}.json": json.dumps(people)})
        yield
    finally:
        if local:
            with users(context) as known:
                known.end_trial()
        context.cluster_secrets.delete(resolved.namespace, name)
