"""Accounts of components: a database or bucket at the component that provides it, keys in a Secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from secrets import token_urlsafe

from mlops_platform.adapters.kube import Kube
from mlops_platform.base.digest import short_digest
from mlops_platform.base.progress import Progress
from mlops_platform.base.values import substitute
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.needs import Provided
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import Account
from mlops_platform.steps.jobs.manifest import ScriptJob
from mlops_platform.steps.jobs.run import run_job

MADE = "mlops-platform/account"  # annotation of an account's Secret: the digest of the account's inputs
_PERIOD = "24h"
_BYTES = 24  # of entropy in a password: 32 characters; some servers take 40 at most


@dataclass(frozen=True)
class MakeAccount:
    """A component's own database or bucket."""

    context: Context
    account: Account
    layer: str

    @property
    def id(self) -> str:
        return f"{self.account.component}/{self.account.kind}"

    def observe(self) -> Difference | None:
        """None if its Secret records that the account was made from the same inputs."""
        account = self.account
        found = self.context.clients.kube.get("v1", "Secret", account.secret, account.namespace)
        if not found:
            return Difference(f"make {account.kind} {account.name}")
        made = (found["metadata"].get("annotations") or {}).get(MADE)
        if made == self._digest():
            return None
        return Difference(f"finish {account.kind} {account.name}")

    def run(self, progress: Progress) -> None:
        """Write the Secret first: after a kill, the next run finds the same password.

        Raises JobFailed with the end of the script's log.
        """
        context, account = self.context, self.account
        kube = context.clients.kube_for_write()
        if account.rotated:
            self._run_rotated(kube, progress)
        else:
            values = self._values()
            context.secrets.write(account.namespace, account.secret, values)
            run_account_script(context, kube, account, values, progress)
        mark(kube, account.namespace, account.secret, self._digest())

    def _run_rotated(self, kube: Kube, progress: Progress) -> None:
        """Set a first password; Vault replaces it at once, and only Vault has the next one.

        https://openbao.org/docs/secrets/databases/#static-roles
        """
        context, account = self.context, self.account
        provider, provided = provider_of(context, account)
        assert provided.engine and context.store, "rotated without a database engine"
        path = f"database/static-roles/{account.component}"
        with context.vault.session() as vault:
            known = vault.read(path) is not None
        plain = _plain(context, account)
        context.secrets.write(account.namespace, account.secret, complete(context, account, plain, ""))
        first = {} if known else {"password": token_urlsafe(_BYTES)}
        for value in first.values():
            context.redact(value)
        values = {**plain, **first, "dbAdmin": context.store.name}
        run_account_script(context, kube, account, values, progress)
        with context.vault.session() as vault:
            vault.write(
                path,
                db_name=provider.name,
                username=plain["user"],
                rotation_period=_PERIOD,
                rotation_statements=[provided.engine.statement],
            )

    def _values(self) -> dict[str, str]:
        """The contents of the Secret; an existing password stays."""
        account = self.account
        existing: Mapping[str, str] = self.context.secrets.read(account.namespace, account.secret)
        user = existing.get("user", account.component)  # a rotation alternates between two users
        plain = {**_plain(self.context, account), "user": user}
        password = existing.get("password") or token_urlsafe(_BYTES)
        return complete(self.context, account, plain, password)

    def _digest(self) -> str:
        """Covers all inputs but the password and the image: a newer client makes the same account."""
        context, account = self.context, self.account
        provider, provided = provider_of(context, account)
        script = _script(context, provider, provided)
        parts: list[object] = [_plain(context, account), provided.keys, script]
        if context.store and account.capability not in context.cluster.managed_servers:
            engine = provided.engine.model_dump(mode="json") if provided.engine else {}
            parts.append([context.store.name, engine])
        return short_digest(parts)


def mark(kube: Kube, namespace: str, secret: str, digest: str) -> None:
    """Record on a Secret what its account was made from: the last thing that is done."""
    kube.patch("v1", "Secret", secret, namespace, body={"metadata": {"annotations": {MADE: digest}}})


def run_account_script(
    context: Context,
    kube: Kube,
    account: Account,
    values: Mapping[str, str],
    progress: Progress,
    act: str = "",
    old: Mapping[str, str] | None = None,
) -> None:
    """Run the provider's script for one account; see run_provider_script."""
    provider, _ = provider_of(context, account)
    server = context.cluster.managed_servers.get(account.capability)
    run_provider_script(
        context,
        kube,
        provider,
        account.capability,
        account.secret,
        values,
        progress,
        act,
        old,
        admin=server.admin() if server else None,
        namespace=account.namespace if server else provider.namespace,
    )


def run_provider_script(
    context: Context,
    kube: Kube,
    provider: Component,
    capability: str,
    name: str,
    values: Mapping[str, str],
    progress: Progress,
    act: str = "",
    old: Mapping[str, str] | None = None,
    *,
    admin: Mapping[str, str] | None = None,
    namespace: str = "",
) -> None:
    """Run a provider's account script with `values` at /run/secrets/account.

    `old`, at /run/secrets/old, are the values that the provider must reject. `admin` are the credentials of a
    server of the cloud, where the provider does not run; the script then runs in the account's namespace.
    The copies of Secrets are deleted at the end, also after an error.
    """
    provided = provider.provides[capability]
    home = namespace or provider.namespace
    copies = {f"account-{name}": ("account", values)}  # a pod mounts only Secrets of its own namespace
    if old is not None:
        copies[f"old-{name}"] = ("old", old)
    if admin is not None:
        copies[f"admin-{name}"] = ("admin", admin)
    own = {} if admin is not None else {f"{provider.name}-{provided.admin}": "admin"}
    job = ScriptJob(
        name=f"account-{name}",
        namespace=home,
        image=context.images.reference(provided.image),
        scripts={provided.script: _script(context, provider, provided)},
        arguments=(act,) if act else (),
        secrets={**own, **{copy: folder for copy, (folder, _) in copies.items()}},
        seconds=120,
    )
    try:
        for copy, (_, contents) in copies.items():
            context.cluster_secrets.write(home, copy, contents)
        run_job(kube, job, progress, context.cancel)
    finally:
        for copy in copies:
            context.cluster_secrets.delete(home, copy)


def provider_of(context: Context, account: Account) -> tuple[Component, Provided]:
    """The component that provides an account, and its `provides` entry."""
    provider = context.catalog[account.provider]
    return provider, provider.provides[account.capability]


def complete(context: Context, account: Account, plain: Mapping[str, str], password: str) -> dict[str, str]:
    """An account's values with the password and the keys that the provider derives from both."""
    _, provided = provider_of(context, account)
    values = {**plain, "password": password}
    keys: dict[str, str] = substitute(provided.keys, values)
    return {**values, **keys}


def _script(context: Context, provider: Component, provided: Provided) -> str:
    return (context.catalog.folder(provider.name) / provided.script).read_text()


def _plain(context: Context, account: Account) -> dict[str, str]:
    provider, provided = provider_of(context, account)
    server = context.cluster.managed_servers.get(account.capability)
    inside = (f"{provider.name}.{provider.namespace}.svc", provider.serves[provided.port].port)
    host, port = server.address if server else inside
    return {"host": host, "port": str(port), "user": account.component, "name": account.name}
