"""The certificate of the component that browsers connect to, signed by the environment's own authority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_platform.base.errors import StepError
from mlops_platform.base.labels import secret_name
from mlops_platform.environment.uis import gateway
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.certificates import MakeOwnCertificate, Wanted


@dataclass(frozen=True)
class MakeCertificate(MakeOwnCertificate):
    """A certificate for every name below the domain."""

    act = "certificate"

    @property
    def wanted(self) -> Wanted:
        return domain_certificate(self.context, self.resolved)


def domain_certificate(context: Context, resolved: ResolvedComponent) -> Wanted:
    """The certificate of `needs.certificate`."""
    return Wanted(
        context.secrets,
        resolved.namespace,
        resolved.secret("authority"),
        (resolved.secret("certificate"),),
        context.environment.domain,
        context.environment.name,
    )


def authority_file(context: Context) -> Path:
    """Write the authority's certificate to the state folder. Raises StepError if there is none."""
    file = context.state / "authority.crt"
    file.write_text(authority(context))
    return file


def authority(context: Context) -> str:
    """The certificate of the environment's authority. Raises StepError if there is none."""
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
    return stored["ca.crt"]
