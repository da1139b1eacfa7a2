"""Owns how the secret store is set up: one policy and one role a component, and what it may rotate where."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.adapters.vault import Health, VaultConnection, VaultError
from mlops_platform.adapters.vault.connection import INSTALLER
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import StepError, WaitTimedOut
from mlops_platform.base.labels import OWNED
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.catalogue.component import Engine
from mlops_platform.engine.graph import Difference
from mlops_platform.run.secrets import KEPT
from mlops_platform.steps.accounts.accounts import MADE, at_provider

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube
    from mlops_platform.adapters.vault.begin import Requests
    from mlops_platform.adapters.vault.session import Vault
    from mlops_platform.run.context import Context

MARK = "mlops-platform-store"  # ConfigMap in the store's namespace: of what data it was set up, and how
_OPEN_SECONDS = 15.0
_TTL, _LONGEST = "10m", "1h"


def observe(context: Context) -> Difference | None:
    """None when it is open and set up as it should be; costs one request to it, without a login."""
    seen = context.vault.health()
    if not seen.initialized:
        return Difference("initialise")
    if seen.sealed:
        return Difference("unseal")
    mark = _mark(context)
    if mark.get("cluster") != seen.cluster:
        return Difference("set up a new store")
    return None if mark.get("digest") == _digest(context) else Difference("change policies and roles")


def run(context: Context, kube: Kube, progress: Progress) -> None:
    """Open it, begin it where it does not begin by itself, and write policies and roles.

    Raises VaultError; sealed for good, it says why.
    """
    from mlops_platform.adapters.vault import begin

    connection, store = context.vault, _store(context)
    kube.apply(_account(store))
    begin.begin(connection, _requests(context), context.cancel)
    seen = _opened(context, progress)
    with _session(connection, seen) as vault:
        _mount(vault, context)
        _components(vault, context)
    if _mark(context).get("cluster") not in (None, seen.cluster):
        progress.note("the store's data is new: secrets are taken over from the cluster")
    if _mark(context).get("cluster") != seen.cluster:
        _forget_mirrors(context, kube)
        kube.delete("v1", "ConfigMap", MARK, store.namespace)
    note(context, kube, {"cluster": seen.cluster, "digest": _digest(context)})


def sealed(context: Context) -> VaultError | None:
    """Why it gives nothing now; None when it does. Raises StepError when it cannot be asked."""
    from mlops_platform.adapters.vault import begin

    seen = context.vault.health()
    return begin.sealed(context.vault, seen) if seen.initialized and seen.sealed else None


def check_other_vault(context: Context, component: Component, name: str) -> None:
    """A secret without which a component's data cannot be read is made with its data, and never again.

    Raises StepError when it is gone while the data is there.
    """
    kube, namespace, secret = context.clients.kube, component.namespace, f"{component.name}-{name}"
    if not component.needs.secrets[name].immutable or kube.get("v1", "Secret", secret, namespace):
        return
    labels = f"app.kubernetes.io/instance={component.name}"
    claims = kube.list("v1", "PersistentVolumeClaim", namespace, labels=labels)
    if claims:
        claim = claims[0]["metadata"]["name"]
        raise StepError(
            f"{component.name}: its key, Secret {secret}, is gone",
            why=f"its data, volume claim {claim}, can be read with that key alone; no other helps",
            hint="bring the Secret back from your backup; or, if the data may be lost, delete the claim with "
            "its pod: secrets are then taken over from the cluster, see docs/operations.md",
            command=kube.kubectl("--namespace", namespace, "get", "secrets,persistentvolumeclaims"),
        )


def _opened(context: Context, progress: Progress) -> Health:
    """A store that was started just now is sealed for a tenth of a second."""
    from mlops_platform.adapters.vault import begin

    def look() -> Health | Pending:
        seen = context.vault.health()
        return Pending("sealed") if seen.sealed else seen

    try:
        return wait_until(
            "the secret store opens", look, seconds=_OPEN_SECONDS, cancel=context.cancel, on_seen=progress.say
        )
    except WaitTimedOut as error:
        raise begin.sealed(context.vault, context.vault.health()) from error


def _session(connection: VaultConnection, seen: Health) -> Any:
    """A login refused here is a store that somebody else began, or that was cut off while it was begun."""
    from contextlib import contextmanager

    @contextmanager
    def session() -> Any:
        try:
            with connection.session() as vault:
                yield vault
        except VaultError as error:
            if error.status not in (400, 403, 404) or "login" not in error.what:
                raise
            raise VaultError(
                "the secret store does not know us",
                status=error.status,
                why=f"it is initialised (data {seen.cluster}), and our account cannot log in: {error.why}",
                hint="it was begun by somebody else, or cut off while it was begun: then it holds nothing, "
                "and its volume can be deleted with its pod",
                command=connection.kube.kubectl(
                    "--namespace", connection.namespace, "get", "pods,persistentvolumeclaims"
                ),
            ) from error

    return session()


def _mount(vault: Vault, context: Context) -> None:
    there = vault.mounts()
    if "secret" not in there:
        vault.client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    if "database" not in there:
        vault.client.sys.enable_secrets_engine("database")

    def versioned() -> bool | Pending:
        """A new mount turns itself into a versioned one, and refuses everything meanwhile."""
        from hvac.exceptions import InvalidRequest

        try:
            vault.read("secret/config")
        except InvalidRequest as error:
            return Pending(str(error))
        return True

    wait_until("versions of secrets", versioned, seconds=_OPEN_SECONDS, cancel=context.cancel)


def _components(vault: Vault, context: Context) -> None:
    """What is not wanted any more goes: an account that comes later must not find an old role."""
    wanted = {c.name: c for c in context.components}
    for name, component in wanted.items():
        vault.write(f"sys/policies/acl/platform-{name}", policy=policy(component, _store(context)))
        vault.write(f"auth/kubernetes/role/{name}", **_role(component, _store(context)))
    found = vault.client.list("auth/kubernetes/role") or {"data": {"keys": []}}
    for name in set(found["data"]["keys"]) - {*wanted, INSTALLER}:
        vault.remove(f"auth/kubernetes/role/{name}")
        vault.remove(f"sys/policies/acl/platform-{name}")


def policy(component: Component, store: Component) -> str:
    """A component reads its own secrets and its own database password, and nothing else.

    The store itself may write there: nothing is kept for it, and its proof needs a place.
    """
    own = ["create", "read", "update", "delete"] if component.name == store.name else ["read"]
    rights = {f"secret/data/platform/{component.name}/*": own}
    if component.name == store.name:
        rights[f"secret/metadata/platform/{component.name}/*"] = ["read", "list", "delete"]
    if component.needs.database:
        rights[f"database/static-creds/{component.name}"] = ["read"]
    return "\n".join(f'path "{path}" {{ capabilities = {json.dumps(can)} }}' for path, can in rights.items())


def _role(component: Component, store: Component) -> dict[str, Any]:
    """Charts name their accounts after the release, some with a word more. `default` is never among them."""
    return {
        "bound_service_account_names": [component.name, f"{component.name}-*", JOBS_ACCOUNT],
        "bound_service_account_namespaces": [component.namespace],
        "audience": store.name,
        "alias_name_source": "serviceaccount_name",
        "token_policies": [f"platform-{component.name}"],
        "token_ttl": _TTL,
        "token_max_ttl": _LONGEST,
    }


def engine_digest(context: Context, provider: Component, engine: Engine) -> str:
    script = provider.provides[_capability(provider, engine)].script
    text = (context.catalog.folder(provider.name) / script).read_text()
    parts = [engine.model_dump(mode="json"), text, provider.namespace]
    return short_digest(parts)


def observe_engine(context: Context, provider: Component, engine: Engine) -> Difference | None:
    made = _mark(context).get(f"engine.{provider.name}")
    if made == engine_digest(context, provider, engine):
        return None
    return Difference("let the store rotate passwords")


def run_engine(context: Context, kube: Kube, provider: Component, engine: Engine, progress: Progress) -> None:
    """A role for the store with rights over the others, whose password only the store knows after this."""
    store, capability = _store(context), _capability(provider, engine)
    port = provider.serves[provider.provides[capability].port].port
    host = f"{provider.name}.{provider.namespace}.svc"
    password = token_urlsafe(24)
    context.redact(password)
    keeper = {"host": host, "port": str(port), "user": store.name, "password": password}
    at_provider(context, kube, provider, capability, f"{store.name}-keeper", keeper, ("keeper",), progress)
    with context.vault.session() as vault:
        vault.write(
            f"database/config/{provider.name}",
            plugin_name=engine.plugin,
            connection_url=string.Template(engine.url).substitute(host=host, port=port),
            username=store.name,
            password=password,
            allowed_roles=["*"],
            **engine.options,
        )
        vault.write(f"database/rotate-root/{provider.name}")
    note(context, kube, {f"engine.{provider.name}": engine_digest(context, provider, engine)})


def _capability(provider: Component, engine: Engine) -> str:
    return next(name for name, provided in provider.provides.items() if provided.engine == engine)


def note(context: Context, kube: Kube, data: Mapping[str, str]) -> None:
    """Other keys of the mark stay."""
    meta = {"name": MARK, "namespace": _store(context).namespace}
    there = _mark(context)
    labels = OWNED
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "labels": labels}}
    kube.apply({**whole, "data": {**there, **data}})


def _mark(context: Context) -> Mapping[str, str]:
    found = context.clients.kube.get("v1", "ConfigMap", MARK, _store(context).namespace)
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return data


def _digest(context: Context) -> str:
    store = _store(context)
    parts = [(policy(c, store), _role(c, store)) for c in context.components]
    return short_digest(parts)


def _store(context: Context) -> Component:
    assert context.store, "a step of the store's without a store"
    return context.store


def _requests(context: Context) -> Requests:
    """What a store is told at its beginning: its folder has it, for servers that begin by themselves too."""
    folder = context.catalog.folder(_store(context).name)
    told = [(each["path"], each["data"]) for each in json.loads((folder / "bootstrap.json").read_text())]
    text = (folder / "installer.hcl").read_text()
    return [*told, (f"sys/policies/acl/{INSTALLER}", {"policy": text})]


def _account(store: Component) -> dict[str, Any]:
    labels = OWNED
    meta = {"name": INSTALLER, "namespace": store.namespace, "labels": labels}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    return {**account, "automountServiceAccountToken": False}


def _forget_mirrors(context: Context, kube: Kube) -> None:
    """What the mirrors show is in no version of this store's: everything is kept, and made, anew."""
    nothing = {"metadata": {"annotations": {KEPT: None, MADE: None}}}
    for component in context.components:
        for name in context.cluster_secrets.names(component.namespace):
            path = f"/api/v1/namespaces/{component.namespace}/secrets/{name}"
            kube.raw("PATCH", path, nothing, content_type="application/merge-patch+json")
