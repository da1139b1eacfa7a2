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
from mlops_platform.steps.secrets.shared import AwaitOldPods, EndShared


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
    shared = [secret for secret in secrets if secret.name in resolved.component.proxy_secrets]
    ended = parallel(*(EndSecret(context, resolved, each) for each in secrets if new and each not in shared))
    verify = [Verify(context, tests[name], always=new)] if resolved.component.smoke else []
    verified = chain(rolled, *verify)
    parts = [chain(rolled, ended), verified]
    if shared:
        parts.append(
            _shared(context, [EndShared(context, resolved, each, new) for each in shared], rolled, verified)
        )
    return Graph.of(*parts)


def _shared(context: Context, ends: Iterable[EndShared], rolled: Part, verified: Part) -> Part:
    """The end of secrets with which the gateway authenticates to a UI: the gateway gets the new value first.

    Until then the UI accepts both values.
    """
    ended = parallel(*ends)
    ingress = gateway(context.environment, context.catalog)
    if not ingress:
        return chain(rolled, ended)
    front = context.resolved[ingress[0].name]
    test = Verify(context, component_tests(context, gentle=True)[front.name], always=True)
    return chain(
        after(CollectProxySecrets(context, front), rolled),
        InstallRelease(context, front),
        AwaitOldPods(context, front),
        ended,
        after(test, Part(last=verified.last)),
    )
