"""The certificate of the component that browsers connect to, signed by the environment's own authority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import secret_name
from mlops_platform.base.progress import Progress
from mlops_platform.engine.graph import Difference
from mlops_platform.environment.uis import gateway
from mlops_platform.run.context import Context
from mlops_platform.steps.base import ComponentStep

RENEW = timedelta(days=30)


@dataclass(frozen=True)
class MakeCertificate(ComponentStep):
    """A certificate for every name below the domain, renewed 30 days before it ends."""

    act = "certificate"

    def _stored(self, key: str) -> dict[str, str]:
        return dict(self.context.secrets.read(self.resolved.namespace, self.resolved.secret(key)))

    def observe(self) -> Difference | None:
        wrong = due(self._stored("certificate"), self.context.environment.domain)
        return Difference(wrong) if wrong else None

    def run(self, progress: Progress) -> None:
        from mlops_platform.base.certificates import authority, certificate  # loads cryptography

        self.context.clients.kube_for_write()
        secrets, resolved, environment = self.context.secrets, self.resolved, self.context.environment
        signer = self._stored("authority")
        if not signer:
            signer = authority(environment.name)
            secrets.write(resolved.namespace, resolved.secret("authority"), signer)
        secrets.write(
            resolved.namespace, resolved.secret("certificate"), certificate(signer, environment.domain)
        )


def due(stored: Mapping[str, str], domain: str) -> str:
    """'' or the reason to make a certificate; parses no certificate, so that a no-op `up` stays fast."""
    if not stored.get("tls.crt"):
        return "make a certificate"
    if stored.get("domain") != domain:
        return f"make a certificate for {domain}"
    left = datetime.fromisoformat(stored["ends"]) - datetime.now(UTC)
    return f"renew the certificate: it ends in {max(left.days, 0)} days" if left < RENEW else ""


def authority_file(context: Context) -> Path:
    """Write the authority's certificate to the state folder. Raises StepError if there is none."""
    ingress = gateway(context.environment, context.catalog)
    stored: Mapping[str, str] = {}
    if ingress:
        component = ingress[0]
        stored = context.secrets.read(component.namespace, secret_name(component.name, "certificate"))
    if not stored:
        name = context.environment.name
        raise StepError(
            f"{name} has no authority of its own",
            why="no certificate was made",
            command=f"mlops-platform up --env {name}",
        )
    file = context.state / "authority.crt"
    file.write_text(stored["ca.crt"])
    return file
