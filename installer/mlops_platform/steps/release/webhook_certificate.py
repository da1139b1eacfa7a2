"""The certificate of a component's webhooks, signed by an authority of the component."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.certificates import MakeOwnCertificate, Wanted


@dataclass(frozen=True)
class MakeWebhookCertificate(MakeOwnCertificate):
    """A certificate for every Service of the component; the release is rendered with its authority."""

    act = "webhook-certificate"

    @property
    def wanted(self) -> Wanted:
        return webhook_certificate(self.context, self.resolved)


def webhook_certificate(context: Context, resolved: ResolvedComponent) -> Wanted:
    """The certificate of `webhookCertificate`.

    Only the API server trusts the authority, and only for this component, so its key stays in the cluster:
    a store that is installed later would have to run before every webhook.
    """
    wanted = resolved.component.webhook_certificate
    assert wanted, "planned only for a component with webhooks"
    return Wanted(
        context.cluster_secrets,
        resolved.namespace,
        resolved.secret("webhook-authority"),
        tuple(wanted.secrets),
        f"{resolved.namespace}.svc",  # the API server calls <service>.<namespace>.svc
        f"{context.environment.name} {resolved.name}",
    )
