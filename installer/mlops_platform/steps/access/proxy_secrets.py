"""The secrets with which the gateway authenticates to UIs, copied to the gateway's namespace."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.base.labels import secret_name
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.environment.uis import exposed_uis
from mlops_platform.steps.base import ComponentStep


@dataclass(frozen=True)
class CollectProxySecrets(ComponentStep):
    """One Secret with the `proxySecret` of every UI that has one; the ingress sends them with requests."""

    act = "proofs"  # never renamed: it is in journals and Secrets since the first release

    @property
    def _secret(self) -> tuple[str, str]:
        return self.resolved.namespace, self.resolved.secret("proofs")

    def _wanted(self) -> dict[str, str]:
        context = self.context
        return {
            component.name: context.secrets.read(
                component.namespace, secret_name(component.name, ui.proxy_secret)
            ).get("value", "")  # a plan for a UI that is new
            for component, ui in exposed_uis(context.environment, context.catalog)
            if ui.proxy_secret
        }

    def observe(self) -> Difference | None:
        namespace, name = self._secret
        if name not in self.context.secrets.names(namespace):
            return Difference("collect the proxy secrets")
        stored = dict(self.context.secrets.read(namespace, name))
        return None if stored == self._wanted() else Difference("collect the proxy secrets again")

    def run(self, progress: Progress) -> None:
        self.context.clients.kube_for_write()
        self.context.secrets.write(*self._secret, self._wanted())
