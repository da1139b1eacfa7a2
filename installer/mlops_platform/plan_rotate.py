"""The plan of a rotation: new values, one restart of the pods, the end of the old values, a smoke test."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_platform.engine.graph import Graph, Part, after, chain, parallel
from mlops_platform.environment.uis import gateway
from mlops_platform.run.context import Context
from mlops_platform.smoke.component import component_tests
from mlops_platform.smoke.verify import Verify
from mlops_platform.steps.access.proxy_secrets import CollectProxySecrets
from mlops_platform.steps.release.install import InstallRelease
from mlops_platform.steps.secrets.rotation import ChangeSecret, EndSecret, RotatableSecret


def plan_rotation(context: Context, name: str, secrets: Iterable[RotatableSecret], *, new: bool) -> Graph:
    """The rotation of one component's secrets: new values, one restart, then the end of the old values.

    The smoke test deletes no pod: `up` and `smoke` do that, when clients expect interruptions.
    """
    resolved, secrets = context.resolved[name], tuple(secrets)
    tests = component_tests(context, gentle=True)
    rolled = chain(
        parallel(*(ChangeSecret(context, resolved, secret, new) for secret in secrets)),
        InstallRelease(context, resolved),
    )
    ended = parallel(*(EndSecret(context, resolved, secret) for secret in secrets if new))
    verify = [Verify(context, tests[name], always=new)] if resolved.component.smoke else []
    verified = chain(rolled, *verify)
    parts = [chain(rolled, ended), verified]
    proxy_secrets = {served.proxy_secret for served in resolved.component.serves.values()} - {""}
    ingress = gateway(context.environment, context.catalog)
    if ingress and proxy_secrets & {secret.name for secret in secrets}:
        # The gateway authenticates to each UI with this secret. Reload the gateway too, or every login fails.
        front = context.resolved[ingress[0].name]
        parts.append(
            chain(
                after(CollectProxySecrets(context, front), rolled),
                InstallRelease(context, front),
                after(Verify(context, tests[front.name], always=True), Part(last=verified.last)),
            )
        )
    return Graph.of(*parts)
