"""Vault's configuration: unsealed, with a policy and a role for each component."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.adapters.vault import Health, VaultConnection, VaultError, setup
from mlops_platform.adapters.vault.connection import INSTALLER
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import WaitTimedOut
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.component import Component
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context
from mlops_platform.run.secrets import KEPT
from mlops_platform.steps.accounts.accounts import MADE
from mlops_platform.steps.base import ComponentStep

if TYPE_CHECKING:
    from mlops_platform.adapters.vault.session import Vault  # loads hvac

RECORD = "mlops-platform-store"  # ConfigMap in Vault's namespace: the data and digest of its configuration
_OPEN_SECONDS = 15.0
_TTL, _LONGEST = "10m", "1h"


@dataclass(frozen=True)
class ConfigureVault(ComponentStep):
    """Unseal Vault, initialize it if it does not do so itself, then write policies and roles."""

    act = "setup"

    def observe(self) -> Difference | None:
        """Sends one request, without a login."""
        seen = self.context.vault.health()
        if not seen.initialized:
            return Difference("initialize")
        if seen.sealed:
            return Difference("unseal")
        record = read_record(self.context)
        if record.get("cluster") != seen.cluster:
            return Difference("configure a new Vault")
        if record.get("digest") == self._digest():
            return None
        return Difference("change policies and roles")

    def run(self, progress: Progress) -> None:
        """Raises VaultError; if Vault stays sealed, with the reason."""
        context, vault_component = self.context, self.resolved.component
        kube, connection = context.clients.kube_for_write(), context.vault
        kube.apply(_account(vault_component))
        setup.set_up(connection, self._requests(), context.cancel)
        seen = self._unsealed(progress)
        with _session(connection, seen) as vault:
            _mount_engines(vault, context)
            self._write_roles(vault)
        before = read_record(context).get("cluster")
        if before != seen.cluster:
            if before is not None:
                progress.note("Vault's data is new: secrets are copied to it from the cluster's Secrets")
            _unlink_mirrors(context, kube)
            kube.delete("v1", "ConfigMap", RECORD, vault_component.namespace)
        write_record(context, kube, {"cluster": seen.cluster, "digest": self._digest()})

    def _unsealed(self, progress: Progress) -> Health:
        """Wait for Vault to unseal: after a start it is sealed for a tenth of a second."""
        vault = self.context.vault

        def look() -> Health | Pending:
            seen = vault.health()
            return Pending("sealed") if seen.sealed else seen

        cancel = self.context.cancel
        try:
            return wait_until(
                "Vault unseals", look, seconds=_OPEN_SECONDS, cancel=cancel, on_seen=progress.say
            )
        except WaitTimedOut as error:
            raise setup.sealed(vault, vault.health()) from error

    def _write_roles(self, vault: Vault) -> None:
        """Write roles and remove unwanted ones: a later account of that name must not get an old role."""
        vault_component = self.resolved.component
        wanted = {c.name: c for c in self.context.components}
        for name, component in wanted.items():
            vault.write(f"sys/policies/acl/platform-{name}", policy=policy(component, vault_component))
            vault.write(f"auth/kubernetes/role/{name}", **role(component, vault_component))
        found = vault.client.list("auth/kubernetes/role") or {"data": {"keys": []}}
        for name in set(found["data"]["keys"]) - {*wanted, INSTALLER}:
            vault.remove(f"auth/kubernetes/role/{name}")
            vault.remove(f"sys/policies/acl/platform-{name}")

    def _digest(self) -> str:
        vault = self.resolved.component
        return short_digest([(policy(c, vault), role(c, vault)) for c in self.context.components])

    def _requests(self) -> setup.Requests:
        """The first requests to a new Vault. Servers that initialize themselves use the same files."""
        bootstrap = json.loads(self.resolved.text("bootstrap.json"))
        own = {"policy": self.resolved.text("installer.hcl")}
        return [*((each["path"], each["data"]) for each in bootstrap), (f"sys/policies/acl/{INSTALLER}", own)]


def sealed(context: Context) -> VaultError | None:
    """The reason why Vault is sealed; None if it is not. Raises StepError if it does not answer."""
    seen = context.vault.health()
    return setup.sealed(context.vault, seen) if seen.initialized and seen.sealed else None


def policy(component: Component, vault: Component) -> str:
    """The policy of a component: read its own secrets and its own database password, nothing else.

    Vault's own component may write its secrets: it has none, and its smoke test needs a place to write.
    """
    own = ["create", "read", "update", "delete"] if component.name == vault.name else ["read"]
    rights = {f"secret/data/platform/{component.name}/*": own}
    if component.name == vault.name:
        rights[f"secret/metadata/platform/{component.name}/*"] = ["read", "list", "delete"]
    if component.needs.database:
        rights[f"database/static-creds/{component.name}"] = ["read"]
    return "\n".join(f'path "{path}" {{ capabilities = {json.dumps(can)} }}' for path, can in rights.items())


def role(component: Component, vault: Component) -> dict[str, Any]:
    """The role of a component's service accounts: charts name them after the release, some with a suffix.

    The account `default` is never among them.
    """
    return {
        "bound_service_account_names": [component.name, f"{component.name}-*", JOBS_ACCOUNT],
        "bound_service_account_namespaces": [component.namespace],
        "audience": vault.name,
        "alias_name_source": "serviceaccount_name",
        "token_policies": [f"platform-{component.name}"],
        "token_ttl": _TTL,
        "token_max_ttl": _LONGEST,
    }


def read_record(context: Context) -> Mapping[str, str]:
    """The data that Vault was configured on (`cluster`), its digest, and one key per database engine."""
    found = context.clients.kube.get("v1", "ConfigMap", RECORD, _namespace(context))
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return data


def write_record(context: Context, kube: Kube, data: Mapping[str, str]) -> None:
    """Set keys of the record; other keys stay."""
    meta = {"name": RECORD, "namespace": _namespace(context), "labels": OWNED}
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {**read_record(context), **data}}
    )


def _namespace(context: Context) -> str:
    assert context.store, "a namespace of Vault without Vault among the components"
    return context.store.namespace


@contextmanager
def _session(connection: VaultConnection, seen: Health) -> Iterator[Vault]:
    """A session as the installer. If the login is rejected, Vault belongs to another installer, or it was
    killed during setup."""
    try:
        with connection.session() as vault:
            yield vault
    except VaultError as error:
        if error.status not in (400, 403, 404) or "login" not in error.what:
            raise
        raise VaultError(
            "Vault does not accept the installer's account",
            status=error.status,
            why=f"it is initialized (data {seen.cluster}), and the login is rejected: {error.why}",
            hint="if it was killed during initialization, delete its volume claim (empty) and its pod; "
            "otherwise it belongs to another installer",
            command=connection.kube.kubectl(
                "--namespace", connection.namespace, "get", "pods,persistentvolumeclaims"
            ),
        ) from error


def _mount_engines(vault: Vault, context: Context) -> None:
    mounted = vault.mounts()
    if "secret" not in mounted:
        vault.client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    if "database" not in mounted:
        vault.client.sys.enable_secrets_engine("database")

    def versioned() -> bool | Pending:
        """True once a new mount has upgraded itself to version 2; until then it rejects every request."""
        from hvac.exceptions import InvalidRequest  # loaded by the session already

        try:
            vault.read("secret/config")
        except InvalidRequest as error:
            return Pending(str(error))
        return True

    wait_until("versions of secrets", versioned, seconds=_OPEN_SECONDS, cancel=context.cancel)


def _account(vault: Component) -> dict[str, Any]:
    meta = {"name": INSTALLER, "namespace": vault.namespace, "labels": OWNED}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    return {**account, "automountServiceAccountToken": False}


def _unlink_mirrors(context: Context, kube: Kube) -> None:
    """Remove the annotations of an earlier Vault: each Secret is stored again, each account is made again."""
    nothing = {"metadata": {"annotations": {KEPT: None, MADE: None}}}
    for component in context.components:
        for name in context.cluster_secrets.names(component.namespace):
            kube.patch("v1", "Secret", name, component.namespace, body=nothing)
