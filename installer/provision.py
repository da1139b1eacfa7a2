"""Owns accounts: a component's own database or bucket, made by whoever provides it, its keys in a Secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from installer.catalog import CAPABILITIES, Component
from installer.engine.steps import Difference
from installer.progress import Progress

if TYPE_CHECKING:
    from installer.adapters.kube import Kube
    from installer.component import Provided
    from installer.context import Context

_MADE = "mlops-platform/account"  # annotation of the Secret: what the account was made from
_BYTES = 24  # of entropy in a password; 32 characters, and some stores take 40 at most


@dataclass(frozen=True)
class Account:
    """What one component is to have at the one that provides a capability.

    `kind` is 'database' or 'bucket'; `name` that of the database or bucket.
    """

    component: str
    namespace: str
    kind: str
    capability: str
    provider: str
    name: str

    @property
    def secret(self) -> str:
        return f"{self.component}-{self.kind}"


def accounts_of(context: Context, component: Component) -> tuple[Account, ...]:
    """From a component's `needs`, and who provides here what they are of."""
    return tuple(
        Account(
            component=component.name,
            namespace=component.namespace,
            kind=kind,
            capability=capability,
            provider=context.provider_of(capability).name,
            name=name,
        )
        for kind, capability in CAPABILITIES.items()
        if (name := getattr(component.needs, kind))
    )


def observe(context: Context, account: Account) -> Difference | None:
    """None when its Secret says that it was made, and from what it would be made of now."""
    found = context.bench.kube.get("v1", "Secret", account.secret, account.namespace)
    if not found:
        return Difference(f"make {account.kind} {account.name}")
    made = (found["metadata"].get("annotations") or {}).get(_MADE)
    return None if made == _digest(context, account) else Difference(f"finish {account.kind} {account.name}")


def run(context: Context, kube: Kube, account: Account, progress: Progress) -> None:
    """Make it: first the Secret, so that a run killed in between finds the same password again.

    Raises JobFailed with the end of the script's log.
    """
    from installer.workloads import Work, run_job

    provider, provided = _provider(context, account)
    values = _values(context, account)
    context.secrets.write(account.namespace, account.secret, values)
    copy = f"account-{account.secret}"  # pods mount Secrets of their own namespace only
    work = Work(
        name=copy,
        namespace=provider.namespace,
        image=context.images.reference(provided.image),
        scripts={provided.script: _script(context, provider, provided)},
        secrets={f"{provider.name}-{provided.admin}": "admin", copy: "account"},
        seconds=120,
    )
    context.secrets.write(provider.namespace, copy, values)
    try:
        run_job(kube, work, progress, context.cancel)
    finally:
        context.secrets.delete(provider.namespace, copy)
    kube.raw(
        "PATCH",
        f"/api/v1/namespaces/{account.namespace}/secrets/{account.secret}",
        {"metadata": {"annotations": {_MADE: _digest(context, account)}}},
        content_type="application/merge-patch+json",
    )


def _provider(context: Context, account: Account) -> tuple[Component, Provided]:
    provider = context.catalog[account.provider]
    return provider, provider.provides[account.capability]


def _script(context: Context, provider: Component, provided: Provided) -> str:
    return (context.catalog.folder(provider.name) / provided.script).read_text()


def _values(context: Context, account: Account) -> dict[str, str]:
    """What the Secret holds; a password that is there already stays."""
    from installer.releases import substitute

    _, provided = _provider(context, account)
    held: Mapping[str, str] = context.secrets.read(account.namespace, account.secret)
    plain = {**_plain(context, account), "password": held.get("password") or token_urlsafe(_BYTES)}
    keys: dict[str, str] = substitute(provided.keys, plain)
    return {**plain, **keys}


def _plain(context: Context, account: Account) -> dict[str, str]:
    provider, provided = _provider(context, account)
    return {
        "host": f"{provider.name}.{provider.namespace}.svc",
        "port": str(provider.serves[provided.port].port),
        "user": account.component,
        "name": account.name,
    }


def _digest(context: Context, account: Account) -> str:
    """Of everything but the password, and the image: a newer client makes the same account."""
    provider, provided = _provider(context, account)
    parts = [_plain(context, account), provided.keys, _script(context, provider, provided)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
