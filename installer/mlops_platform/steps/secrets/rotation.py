"""Rotation: a new value in Vault first, then in the program and the cluster; then the old value is rejected.

A run may be killed at any point. Vault's newest version is the desired value, the mirror (the Secret in the
cluster) the current one: if they differ, a rotation was interrupted, and the next one, or `secrets sync`,
completes it with that value. A secret that the gateway sends to a UI has its old value as `previous` until
the gateway has the new one; if it still is there, a rotation was interrupted after that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Literal

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import Account, ResolvedComponent
from mlops_platform.run.secrets import generate, kv_path
from mlops_platform.steps.accounts.accounts import complete, run_account_script
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.secrets.database import engine_of
from mlops_platform.steps.secrets.scripts import run_script
from mlops_platform.steps.secrets.volumes import refresh_volumes

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault  # loads hvac

Values = Mapping[str, str]
# A generated secret; an account whose password Vault does not rotate, or does; Vault's own database account.
Kind = Literal["generated", "account", "rotated", "dbAdmin"]
_BYTES = 24
PREVIOUS = "previous"


@dataclass(frozen=True)
class RotatableSecret:
    """One secret of a component that can be rotated. `name` is its short name in component.yaml."""

    component: str
    name: str
    kind: Kind

    @property
    def in_vault_only(self) -> bool:
        """True if Vault changes it at the provider: no Secret contains it and no pod restarts."""
        return self.kind in ("rotated", "dbAdmin")


@dataclass(frozen=True)
class Row:
    """One line of `secrets list`: the version in Vault and in the cluster; never a value."""

    component: str
    name: str
    version: str
    mirrored: str
    changed: datetime | None
    rotated_by: str


def rotatable(context: Context, resolved: ResolvedComponent) -> tuple[RotatableSecret, ...]:
    """The secrets of a component that `secrets rotate` can change: all but those that stored data needs."""
    name = resolved.name
    if resolved.component == context.store:
        providers = [c.name for c in context.components if engine_of(c)]
        return tuple(RotatableSecret(name, provider, "dbAdmin") for provider in providers)
    needs = resolved.component.needs.secrets
    generated = [key for key, need in needs.items() if need.keys and not need.immutable]
    accounts = [(a.kind, "rotated" if a.rotated else "account") for a in resolved.accounts]
    found = [RotatableSecret(name, key, "generated") for key in generated]
    found += [
        RotatableSecret(name, key, "rotated" if kind == "rotated" else "account") for key, kind in accounts
    ]
    return tuple(found)


@dataclass(frozen=True)
class ChangeSecret(ComponentStep):
    """Set a new value in Vault, the program and the cluster; without `new`, complete an earlier rotation."""

    secret: RotatableSecret
    new: bool

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/rotate-{self.secret.name}"

    def observe(self) -> Difference | None:
        if self.new:
            return Difference("make a new value")
        return Difference("copy Vault's value") if self._pending() else None

    def _pending(self) -> bool:
        """True if Vault has a newer version than the cluster."""
        if self.secret.in_vault_only:
            return False
        namespace, name = self.resolved.namespace, self.resolved.secret(self.secret.name)
        with self.context.vault.session() as vault:
            stored = vault.get(kv_path(namespace, name))
        version = self.context.cluster_secrets.version(namespace, name)
        return stored is not None and (stored.version != version or PREVIOUS in stored.values)

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        if not self.secret.in_vault_only:
            self._change_stored(kube, progress)
        elif self.new and self.secret.kind == "rotated":
            self._rotate(kube, progress)
        elif self.new:
            with self.context.vault.session() as vault:
                vault.write(f"database/rotate-root/{self.secret.name}")

    def _rotate(self, kube: Kube, progress: Progress) -> None:
        """Let Vault change the password at the provider; pods read it again after a rejected connection."""
        context, account = self.context, _account(self.resolved, self.secret)
        with context.vault.session() as vault:
            old = vault.read(f"database/static-creds/{account.component}") or {}
            vault.write(f"database/rotate-role/{account.component}")
            new = vault.read(f"database/static-creds/{account.component}") or {}
        plain = context.secrets.read(account.namespace, account.secret)
        values = {key: plain[key] for key in ("host", "port", "user", "name")}
        for found in (old, new):
            context.redact(found["password"])
        progress.say("checking that the old password is rejected")
        before = {**values, "password": old["password"]}
        after = {**values, "password": new["password"]}
        run_account_script(context, kube, account, after, progress, "prove", before)

    def _change_stored(self, kube: Kube, progress: Progress) -> None:
        context, resolved, secret = self.context, self.resolved, self.secret
        name = resolved.secret(secret.name)
        path = kv_path(resolved.namespace, name)
        mirrored = context.cluster_secrets.version(resolved.namespace, name)
        with context.vault.session() as vault:
            stored = vault.get(path)
            if stored is None or not mirrored:
                raise StepError(
                    f"{name} is not in Vault yet",
                    hint="copy it there with `up`",
                    command=f"mlops-platform up --env {context.environment.name}",
                )
            if stored.version != mirrored or PREVIOUS in stored.values:
                progress.note(f"{name}: completing version {stored.version}, which was interrupted")
            elif not self.new:
                return
            else:
                vault.put(path, self._next(stored.values))
            now, before = versions_of(vault, resolved, secret)
            version = vault.get(path)
        assert version, "it was written just now"
        if secret.kind == "account":
            run_account_script(context, kube, _account(resolved, secret), now, progress, "ensure")
        elif before and not self._shared:
            run_script(context, kube, resolved, secret.name, now, before, "change", progress)
        context.cluster_secrets.write(resolved.namespace, name, now, version=version.version)
        if PREVIOUS in now:
            refresh_volumes(kube, resolved.namespace, name)
            old = {**now, "value": now[PREVIOUS]}
            run_script(context, kube, resolved, secret.name, now, old, "change", progress)

    @property
    def _shared(self) -> bool:
        """True if the gateway sends it: both values are right until the gateway has the new one."""
        return self.secret.name in self.resolved.component.proxy_secrets

    def _next(self, current: Values) -> dict[str, str]:
        """The next value. An account alternates between two users: the current one works until every pod has
        the new value."""
        context, name = self.context, self.resolved.name
        if self.secret.kind == "generated":
            made = generate(self.resolved.component.needs.secrets[self.secret.name])
            made |= {PREVIOUS: current["value"]} if self._shared else {}
        else:
            user = f"{name}-2" if current.get("user", name) == name else name
            account = _account(self.resolved, self.secret)
            made = complete(context, account, {**current, "user": user}, token_urlsafe(_BYTES))
        for key, value in made.items():
            if current.get(key) != value and key == "password":
                context.redact(value)
        return made


@dataclass(frozen=True)
class EndSecret(ComponentStep):
    """The end of the old value, after all pods have the new one: the old value is rejected."""

    secret: RotatableSecret

    @property
    def id(self) -> str:
        return f"{self.resolved.name}/old-{self.secret.name}"

    def observe(self) -> Difference | None:
        return Difference("end the old value, and check that it is rejected")

    def run(self, progress: Progress) -> None:
        kube = self.context.clients.kube_for_write()
        if self.secret.in_vault_only:  # checked when it was changed: no pod had to restart
            return
        with self.context.vault.session() as vault:
            now, before = versions_of(vault, self.resolved, self.secret)
        if not before:
            return
        if self.secret.kind == "account":
            account = _account(self.resolved, self.secret)
            run_account_script(self.context, kube, account, now, progress, "retire", before)
        else:
            run_script(self.context, kube, self.resolved, self.secret.name, now, before, "prove", progress)


def rows(context: Context) -> tuple[Row, ...]:
    """The rows of all secrets of all chosen components."""
    found: list[Row] = []
    with context.vault.session() as vault:
        for resolved in context.resolved.values():
            mirrors = context.cluster_secrets.versions(resolved.namespace)
            changeable = {each.name: each for each in rotatable(context, resolved)}
            for name in sorted(n for n in mirrors if n.startswith(f"{resolved.name}-")):
                short = name.removeprefix(f"{resolved.name}-")
                secret = changeable.get(short)
                if secret and secret.kind == "rotated":
                    found.append(_rotated_row(vault, resolved, short))
                    continue
                meta = vault.history(kv_path(resolved.namespace, name)) if mirrors[name] else None
                version, when = meta or (0, None)
                by = "secrets rotate" if secret else "-"
                mirrored = str(mirrors[name] or "-")
                found.append(Row(resolved.name, short, str(version or "-"), mirrored, when, by))
    return tuple(found)


def _rotated_row(vault: Vault, resolved: ResolvedComponent, name: str) -> Row:
    read = vault.read(f"database/static-roles/{resolved.name}") or {}
    when = read.get("last_vault_rotation")
    changed = datetime.fromisoformat(when) if when else None
    return Row(resolved.name, name, "-", "not kept", changed, "Vault, every day")


def versions_of(
    vault: Vault, resolved: ResolvedComponent, secret: RotatableSecret
) -> tuple[Values, Values | None]:
    """The newest values and the previous ones."""
    path = kv_path(resolved.namespace, resolved.secret(secret.name))
    stored = vault.get(path)
    assert stored, f"{path} is gone"
    before = vault.get(path, version=stored.version - 1) if stored.version > 1 else None
    return stored.values, before.values if before else None


def _account(resolved: ResolvedComponent, secret: RotatableSecret) -> Account:
    return next(account for account in resolved.accounts if account.kind == secret.name)
