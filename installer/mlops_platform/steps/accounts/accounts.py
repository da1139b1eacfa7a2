"""Owns accounts: a component's own database or bucket, made by whoever provides it, its keys in a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from mlops_platform.base.digest import short_digest
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import CAPABILITIES, Component
from mlops_platform.engine.graph import Difference

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.catalogue.component import Provided
    from mlops_platform.run.context import Context

MADE = "mlops-platform/account"  # annotation of an account's Secret: what the account was made from
_PERIOD = "24h"
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
    """From a component's `needs`, and who provides here what they are of; not what the cluster gives."""
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
        if (name := getattr(component.needs, kind)) and capability not in context.cluster.given
    )


def observe(context: Context, account: Account) -> Difference | None:
    """None when its Secret says that it was made, and from what it would be made of now."""
    found = context.clients.kube.get("v1", "Secret", account.secret, account.namespace)
    if not found:
        return Difference(f"make {account.kind} {account.name}")
    made = (found["metadata"].get("annotations") or {}).get(MADE)
    return None if made == _digest(context, account) else Difference(f"finish {account.kind} {account.name}")


def run(context: Context, kube: Kube, account: Account, progress: Progress) -> None:
    """Make it: first the Secret, so that a run killed in between finds the same password again.

    Raises JobFailed with the end of the script's log.
    """
    if rotated(context, account):
        _run_rotated(context, kube, account, progress)
    else:
        values = _values(context, account)
        context.secrets.write(account.namespace, account.secret, values)
        _make(context, kube, account, values, progress)
    mark(kube, account.namespace, account.secret, _digest(context, account))


def mark(kube: Kube, namespace: str, secret: str, digest: str) -> None:
    """Say at a Secret what it was made from: the last thing done."""
    kube.raw(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/secrets/{secret}",
        {"metadata": {"annotations": {MADE: digest}}},
        content_type="application/merge-patch+json",
    )


def rotated(context: Context, account: Account) -> bool:
    """Does the secret store rotate its password? Then no Secret has it: who connects asks the store."""
    ours = account.capability not in context.cluster.servers  # else the store would need a way out there
    return ours and context.store is not None and _provider(context, account)[1].engine is not None


def _run_rotated(context: Context, kube: Kube, account: Account, progress: Progress) -> None:
    """A password for the first moments; the store replaces it at once, and nobody else knows the next.

    https://openbao.org/docs/secrets/databases/#static-roles
    """
    assert context.store, "rotated by nobody"
    provider, provided = _provider(context, account)
    assert provided.engine, "rotated without an engine"
    path = f"database/static-roles/{account.component}"
    with context.vault.session() as vault:
        known = vault.read(path) is not None
    plain = _plain(context, account)
    context.secrets.write(account.namespace, account.secret, whole(context, account, plain, ""))
    first = {} if known else {"password": token_urlsafe(_BYTES)}
    for value in first.values():
        context.redact(value)
    _make(context, kube, account, {**plain, **first, "keeper": context.store.name}, progress)
    with context.vault.session() as vault:
        vault.write(
            path,
            db_name=provider.name,
            username=plain["user"],
            rotation_period=_PERIOD,
            rotation_statements=[provided.engine.statement],
        )


def _make(
    context: Context, kube: Kube, account: Account, values: Mapping[str, str], progress: Progress
) -> None:
    provider, _ = _provider(context, account)
    at_provider(
        context,
        kube,
        provider,
        account.capability,
        account.secret,
        values,
        (),
        progress,
        namespace=account.namespace,
    )


def at_provider(
    context: Context,
    kube: Kube,
    provider: Component,
    capability: str,
    name: str,
    values: Mapping[str, str],
    arguments: tuple[str, ...],
    progress: Progress,
    old: Mapping[str, str] | None = None,
    namespace: str = "",
) -> None:
    """Run a provider's account script in its own namespace, with `values` at /run/secrets/account.

    `old`, at /run/secrets/old, is what is to be refused. Neither is there any longer at the end. Where the
    cluster has the server, the provider does not run: its script does, in `namespace`, the account's own.
    """
    from mlops_platform.steps.jobs.manifest import ScriptJob
    from mlops_platform.steps.jobs.run import run_job

    provided, server = provider.provides[capability], context.cluster.servers.get(capability)
    home = namespace if server else provider.namespace
    copies = {f"account-{name}": ("account", values)}  # pods mount Secrets of their own namespace only
    if old is not None:
        copies[f"old-{name}"] = ("old", old)
    if server:
        copies[f"admin-{name}"] = ("admin", server.admin())
    work = ScriptJob(
        name=f"account-{name}",
        namespace=home,
        image=context.images.reference(provided.image),
        scripts={provided.script: _script(context, provider, provided)},
        arguments=arguments,
        secrets={
            **({} if server else {f"{provider.name}-{provided.admin}": "admin"}),
            **{copy: folder for copy, (folder, _) in copies.items()},
        },
        seconds=120,
    )
    try:
        for copy, (_, held) in copies.items():
            context.cluster_secrets.write(home, copy, held)
        run_job(kube, work, progress, context.cancel)
    finally:
        for copy in copies:
            context.cluster_secrets.delete(home, copy)


def _provider(context: Context, account: Account) -> tuple[Component, Provided]:
    provider = context.catalog[account.provider]
    return provider, provider.provides[account.capability]


def _script(context: Context, provider: Component, provided: Provided) -> str:
    return (context.catalog.folder(provider.name) / provided.script).read_text()


def _values(context: Context, account: Account) -> dict[str, str]:
    """What the Secret holds; a password that is there already stays."""
    held: Mapping[str, str] = context.secrets.read(account.namespace, account.secret)
    user = held.get("user", account.component)  # there are two, in turn
    plain = {**_plain(context, account), "user": user}
    return whole(context, account, plain, held.get("password") or token_urlsafe(_BYTES))


def whole(context: Context, account: Account, plain: Mapping[str, str], password: str) -> dict[str, str]:
    from mlops_platform.base.values import substitute

    _, provided = _provider(context, account)
    values = {**plain, "password": password}
    keys: dict[str, str] = substitute(provided.keys, values)
    return {**values, **keys}


def _plain(context: Context, account: Account) -> dict[str, str]:
    provider, provided = _provider(context, account)
    server = context.cluster.servers.get(account.capability)
    inside = (f"{provider.name}.{provider.namespace}.svc", provider.serves[provided.port].port)
    host, port = server.place if server else inside
    return {
        "host": host,
        "port": str(port),
        "user": account.component,
        "name": account.name,
    }


def _digest(context: Context, account: Account) -> str:
    """Of everything but the password, and the image: a newer client makes the same account."""
    provider, provided = _provider(context, account)
    parts: list[object] = [_plain(context, account), provided.keys, _script(context, provider, provided)]
    if context.store and account.capability not in context.cluster.servers:
        engine = provided.engine.model_dump(mode="json") if provided.engine else {}
        parts.append([context.store.name, engine])
    return short_digest(parts)
