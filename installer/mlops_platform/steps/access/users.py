"""Owns local users: made at the platform's own issuer, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.environment.issuer import provider

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.users import Users
    from mlops_platform.run.context import Context

PEOPLE = "people"


def require_same_location(context: Context) -> None:
    """Raises UsageError when who people are is not decided here."""
    if oidc := context.environment.oidc:
        raise UsageError(
            "users of this environment are not made here",
            why=f"they come from {oidc.issuer}",
            hint="make them there, in one of the groups the platform knows",
            command=f"mlops-platform env show {context.environment.name}",
        )
    if not provider(context.environment, context.catalog):
        raise UsageError("nothing here knows users", hint="choose a component that provides identity")


@contextmanager
def users(context: Context) -> Iterator[Users]:
    """A session with the platform's own issuer. Raises UsageError where there is none."""
    require_same_location(context)
    from mlops_platform.adapters.vault.users import Users

    with context.vault.session() as vault:
        yield Users(vault.client)


@contextmanager
def trial(context: Context, component: Component) -> Iterator[None]:
    """People for a component's smoke test, in its Secret `<name>-people`; gone at the end.

    What a run that was killed left goes with the next one. Where people come from elsewhere there are none.
    """
    people: dict[str, dict[str, str]] = {}
    name = f"{component.name}-{PEOPLE}"
    local = provider(context.environment, context.catalog) is not None
    try:
        if local:
            with users(context) as known:
                people = known.begin_trial(token_hex(4))
        # In the cluster alone: it lives for minutes, and nothing is to be kept of it.
        context.cluster_secrets.write(component.namespace, name, {f"{PEOPLE}.json": json.dumps(people)})
        yield
    finally:
        if local:
            with users(context) as known:
                known.end_trial()
        context.cluster_secrets.delete(component.namespace, name)
