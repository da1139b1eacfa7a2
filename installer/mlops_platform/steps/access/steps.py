"""Owns the steps of who enters and how: the client at the issuer, the certificate, proofs for UIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlops_platform.base.progress import Progress
from mlops_platform.catalogue.catalogue import Component
from mlops_platform.engine.graph import Difference
from mlops_platform.run.context import Context

RENEW = timedelta(days=30)


@dataclass(frozen=True)
class MakeClient:
    """A component's client at the OIDC issuer, in its Secret."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/client"

    @property
    def layer(self) -> str:
        return self.component.layer

    def observe(self) -> Difference | None:
        from mlops_platform.steps.access.clients import observe_client

        wrong = observe_client(self.context, self.component)
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.access.clients import make_client

        self.context.clients.kube_for_write()
        make_client(self.context, self.component)


@dataclass(frozen=True)
class MakeCertificate:
    """The certificate of a component people connect to, by the environment's authority, renewed in time."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/certificate"

    @property
    def layer(self) -> str:
        return self.component.layer

    def _held(self, name: str) -> dict[str, str]:
        component = self.component
        return dict(self.context.secrets.read(component.namespace, f"{component.name}-{name}"))

    def observe(self) -> Difference | None:
        wrong = _due(self._held("certificate"), self.context.environment.domain)
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.base.certificates import authority, certificate

        self.context.clients.kube_for_write()
        name, space = self.component.name, self.component.namespace
        signer = self._held("authority")
        if not signer:
            signer = authority(self.context.environment.name)
            self.context.secrets.write(space, f"{name}-authority", signer)
        made = certificate(signer, self.context.environment.domain)
        self.context.secrets.write(space, f"{name}-certificate", made)


@dataclass(frozen=True)
class CollectProxySecrets:
    """What UIs know the gateway by, each their own, in the gateway's namespace."""

    context: Context
    component: Component
    requires: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.component.name}/proofs"

    @property
    def layer(self) -> str:
        return self.component.layer

    @property
    def _secret(self) -> tuple[str, str]:
        return self.component.namespace, f"{self.component.name}-proofs"

    def observe(self) -> Difference | None:
        from mlops_platform.steps.access.routes import proxy_secrets_of

        namespace, name = self._secret
        if name not in self.context.secrets.names(namespace):
            return Difference("collect the proofs")
        held = dict(self.context.secrets.read(namespace, name))
        return None if held == proxy_secrets_of(self.context) else Difference("collect the proofs anew")

    def run(self, progress: Progress) -> None:
        from mlops_platform.steps.access.routes import proxy_secrets_of

        self.context.clients.kube_for_write()
        self.context.secrets.write(*self._secret, proxy_secrets_of(self.context))


def _due(held: Mapping[str, str], domain: str) -> str:
    """'' or, in words, why a certificate is to be made; without reading it, so it costs a no-op nothing."""
    if not held.get("tls.crt"):
        return "make a certificate"
    if held.get("domain") != domain:
        return f"make a certificate for {domain}"
    left = datetime.fromisoformat(held["ends"]) - datetime.now(UTC)
    return f"renew the certificate: it ends in {max(left.days, 0)} days" if left < RENEW else ""
