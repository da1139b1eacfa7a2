"""Owns new values of secrets: in the store first, then in program and cluster, and the old one refused.

A run may be killed anywhere in between. The store's newest version is what is wanted, the mirror's what the
cluster has: where they differ a rotation was begun, and the next one, or `sync`, ends it with that value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Literal

from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.run.secrets import generate, kv_path

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.vault.session import Vault
    from mlops_platform.catalogue.catalogue import Component
    from mlops_platform.run.context import Context
    from mlops_platform.steps.accounts.accounts import Account

Values = Mapping[str, str]
# Of a generated secret; of an account, its password not rotated or rotated by the store; of the store itself.
Kind = Literal["generated", "account", "rotated", "keeper"]
_BYTES = 24


@dataclass(frozen=True)
class RotatableSecret:
    """One secret of a component that can be changed. `name` is short, as in component.yaml."""

    component: str
    name: str
    kind: Kind


@dataclass(frozen=True)
class Row:
    """A secret for people: which version the store has, which the cluster; never a value."""

    component: str
    name: str
    version: str
    mirrored: str
    changed: datetime | None
    rotated_by: str


def held(context: Context, component: Component) -> tuple[RotatableSecret, ...]:
    """What `secrets rotate` changes of a component."""
    from mlops_platform.steps.accounts.accounts import accounts_of, rotated
    from mlops_platform.steps.secrets.steps import engine_of

    if component == context.store:
        providers = [c.name for c in context.components if engine_of(c)]
        return tuple(RotatableSecret(component.name, name, "keeper") for name in providers)
    needs = component.needs.secrets  # without those that stored data can be read with alone
    made = [
        RotatableSecret(component.name, n, "generated")
        for n, s in needs.items()
        if s.keys and not s.immutable
    ]
    for account in accounts_of(context, component):
        made.append(
            RotatableSecret(
                component.name, account.kind, "rotated" if rotated(context, account) else "account"
            )
        )
    return tuple(made)


def change(context: Context, kube: Kube, secret: RotatableSecret, progress: Progress, *, new: bool) -> None:
    """A new value (`new`), or the one a killed rotation left, in the store, the program and the cluster."""
    component = context.catalog[secret.component]
    if secret.kind == "keeper":
        if new:
            with context.vault.session() as vault:
                vault.write(f"database/rotate-root/{secret.name}")
    elif secret.kind == "rotated":
        if new:
            _rotate(context, kube, secret, progress)
    else:
        _change_kept(context, kube, component, secret, progress, new=new)


def finish(context: Context, kube: Kube, secret: RotatableSecret, progress: Progress) -> None:
    """After the pods have the new value: the old one ends, and is proven refused."""
    component = context.catalog[secret.component]
    if secret.kind in ("rotated", "keeper"):  # proven when it was changed: no pod had to
        return
    with context.vault.session() as vault:
        now, before = _versions(vault, component, secret)
    if not before:
        return
    if secret.kind == "account":
        account = _account(context, component, secret)
        _at(context, kube, account, now, before, "retire", progress)
    else:
        _script(context, kube, component, secret, now, before, "prove", progress)


def pending(context: Context, secret: RotatableSecret) -> bool:
    """Has the store a newer version than the cluster?"""
    if secret.kind in ("rotated", "keeper"):
        return False
    component = context.catalog[secret.component]
    name = f"{component.name}-{secret.name}"
    with context.vault.session() as vault:
        kept = vault.get(kv_path(component.namespace, name))
    return kept is not None and kept.version != context.cluster_secrets.version(component.namespace, name)


def rows(context: Context) -> tuple[Row, ...]:
    """Every secret of every chosen component, whoever made it."""
    found: list[Row] = []
    with context.vault.session() as vault:
        for component in context.components:
            mirrors = context.cluster_secrets.versions(component.namespace)
            changeable = {h.name: h for h in held(context, component)}
            for name in sorted(n for n in mirrors if n.startswith(f"{component.name}-")):
                short = name.removeprefix(f"{component.name}-")
                secret = changeable.get(short)
                if secret and secret.kind == "rotated":
                    found.append(_rotated_row(vault, component, short))
                    continue
                meta = vault.history(kv_path(component.namespace, name)) if mirrors[name] else None
                version, when = meta or (0, None)
                by = "secrets rotate" if secret else "-"
                found.append(
                    Row(component.name, short, str(version or "-"), str(mirrors[name] or "-"), when, by)
                )
    return tuple(found)


def _rotated_row(vault: Vault, component: Component, name: str) -> Row:
    read = vault.read(f"database/static-roles/{component.name}") or {}
    when = read.get("last_vault_rotation")
    changed = datetime.fromisoformat(when) if when else None
    return Row(component.name, name, "-", "not kept", changed, "the store, every day")


def _rotate(context: Context, kube: Kube, secret: RotatableSecret, progress: Progress) -> None:
    """The store changes it at the provider; pods read it there when a connection is refused."""
    account = _account(context, context.catalog[secret.component], secret)
    with context.vault.session() as vault:
        old = vault.read(f"database/static-creds/{account.component}") or {}
        vault.write(f"database/rotate-role/{account.component}")
        new = vault.read(f"database/static-creds/{account.component}") or {}
    plain = context.secrets.read(account.namespace, account.secret)
    values = {key: plain[key] for key in ("host", "port", "user", "name")}
    for found in (old, new):
        context.redact(found["password"])
    progress.say("proving that the old password is refused")
    before = {**values, "password": old["password"]}
    _at(context, kube, account, {**values, "password": new["password"]}, before, "prove", progress)


def _change_kept(
    context: Context,
    kube: Kube,
    component: Component,
    secret: RotatableSecret,
    progress: Progress,
    *,
    new: bool,
) -> None:
    name = f"{component.name}-{secret.name}"
    path = kv_path(component.namespace, name)
    shown = context.cluster_secrets.version(component.namespace, name)
    with context.vault.session() as vault:
        kept = vault.get(path)
        if kept is None or not shown:
            raise StepError(
                f"{name} is not in the secret store yet",
                hint="up takes it over",
                command=f"mlops-platform up --env {context.environment.name}",
            )
        if kept.version != shown:
            progress.note(f"{name}: version {kept.version} was begun before, and is brought to its end")
        elif not new:
            return
        else:
            vault.put(path, _new(context, component, secret, kept.values))
        now, before = _versions(vault, component, secret)
        version = vault.get(path)
    assert version, "it was written just now"
    if secret.kind == "account":
        _at(context, kube, _account(context, component, secret), now, None, "ensure", progress)
    elif before:
        _script(context, kube, component, secret, now, before, "change", progress)
    context.cluster_secrets.write(component.namespace, name, now, version=version.version)


def _new(context: Context, component: Component, secret: RotatableSecret, there: Values) -> dict[str, str]:
    """An account's next one is another user: the one in use works until every pod has the new one."""
    from mlops_platform.steps.accounts.accounts import whole

    if secret.kind == "generated":
        made = generate(component.needs.secrets[secret.name])
    else:
        first = secret.component
        user = f"{first}-2" if there.get("user", first) == first else first
        account = _account(context, component, secret)
        made = whole(context, account, {**there, "user": user}, token_urlsafe(_BYTES))
    for key, value in made.items():
        if there.get(key) != value and key == "password":
            context.redact(value)
    return made


def _versions(vault: Vault, component: Component, secret: RotatableSecret) -> tuple[Values, Values | None]:
    """The newest values and those before them."""
    path = kv_path(component.namespace, f"{component.name}-{secret.name}")
    kept = vault.get(path)
    assert kept, f"{path} is gone"
    before = vault.get(path, version=kept.version - 1) if kept.version > 1 else None
    return kept.values, before.values if before else None


def _account(context: Context, component: Component, secret: RotatableSecret) -> Account:
    from mlops_platform.steps.accounts.accounts import accounts_of

    return next(a for a in accounts_of(context, component) if a.kind == secret.name)


def _at(
    context: Context,
    kube: Kube,
    account: Account,
    new: Values,
    old: Values | None,
    act: str,
    progress: Progress,
) -> None:
    from mlops_platform.steps.accounts.accounts import at_provider

    provider = context.catalog[account.provider]
    name = account.secret
    at_provider(
        context,
        kube,
        provider,
        account.capability,
        name,
        new,
        (act,),
        progress,
        old,
        namespace=account.namespace,
    )


def _script(
    context: Context,
    kube: Kube,
    component: Component,
    secret: RotatableSecret,
    new: Values,
    old: Values,
    act: str,
    progress: Progress,
) -> None:
    """`change` brings it into the running program, `prove` proves it; without a script the pods are all."""
    from mlops_platform.steps.jobs.manifest import ScriptJob
    from mlops_platform.steps.jobs.run import run_job

    need = component.needs.secrets[secret.name]
    if not need.rotate:
        if act == "prove":
            progress.note(f"{secret.component}-{secret.name}: nobody but its own pods ever took the old one")
        return
    folder = context.catalog.folder(component.name)
    beside = [p.script for p in component.provides.values() if p.script]
    port = next(iter(component.serves.values())).port
    copies = {f"rotate-{secret.name}-new": ("new", new), f"rotate-{secret.name}-old": ("old", old)}
    work = ScriptJob(
        name=f"{component.name}-rotate-{secret.name}",
        namespace=component.namespace,
        image=context.images.reference(need.image),
        scripts={name: (folder / name).read_text() for name in dict.fromkeys([need.rotate, *beside])},
        arguments=(act,),
        secrets={copy: place for copy, (place, _) in copies.items()},
        env={"HOST": f"{component.name}.{component.namespace}.svc", "PORT": str(port)},
        seconds=120,
    )
    try:
        for copy, (_, values) in copies.items():
            context.cluster_secrets.write(component.namespace, copy, values)
        run_job(kube, work, progress, context.cancel)
    finally:
        for copy in copies:
            context.cluster_secrets.delete(component.namespace, copy)
