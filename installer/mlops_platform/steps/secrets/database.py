"""Vault's database secrets engine: it rotates the passwords of accounts at a component."""

from __future__ import annotations

import string
from dataclasses import dataclass
from secrets import token_urlsafe

from mlops_platform.base.digest import short_digest
from mlops_platform.base.labels import secret_name
from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.needs import Engine
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.accounts.accounts import run_provider_script
from mlops_platform.steps.base import ComponentStep
from mlops_platform.steps.secrets.vault import read_record, write_record


def engine_of(component: Component) -> tuple[str, Engine] | None:
    """The capability whose passwords Vault rotates, and its engine; None if there is none."""
    return next(((c, p.engine) for c, p in component.provides.items() if p.engine), None)


@dataclass(frozen=True)
class ConfigureDatabaseEngine(ComponentStep):
    """Vault's own account at a provider; after this step, only Vault has its password."""

    act = "rotation"

    @property
    def _engine(self) -> tuple[str, Engine]:
        engine = engine_of(self.resolved.component)
        assert engine, "planned only for a component with an engine"
        return engine

    def observe(self) -> Difference | None:
        made = read_record(self.context).get(f"engine.{self.resolved.name}")
        return None if made == self._digest() else Difference("let Vault rotate passwords")

    def run(self, progress: Progress) -> None:
        context, component, (capability, engine) = self.context, self.resolved.component, self._engine
        assert context.store
        kube, user = context.clients.kube_for_write(), context.store.name
        port = component.serves[component.provides[capability].port].port
        host = f"{component.name}.{component.namespace}.svc"
        password = token_urlsafe(24)
        context.redact(password)
        account = {"host": host, "port": str(port), "user": user, "password": password}
        name = secret_name(user, "db-admin")
        run_provider_script(context, kube, component, capability, name, account, progress, "db-admin")
        with context.vault.session() as vault:
            vault.write(
                f"database/config/{component.name}",
                plugin_name=engine.plugin,
                connection_url=string.Template(engine.url).substitute(host=host, port=port),
                username=user,
                password=password,
                allowed_roles=["*"],
                **engine.options,
            )
            vault.write(f"database/rotate-root/{component.name}")
        write_record(context, kube, {f"engine.{component.name}": self._digest()})

    def _digest(self) -> str:
        capability, engine = self._engine
        script = self.resolved.text(self.resolved.component.provides[capability].script)
        return short_digest([engine.model_dump(mode="json"), script, self.resolved.namespace])
