"""Owns the plan of a rotation: new values, the roll, the ends of the old ones, and the proof."""

from __future__ import annotations

from collections.abc import Iterable

from mlops_platform.catalogue.catalogue import Component
from mlops_platform.engine.graph import Graph, Step
from mlops_platform.run.context import Context
from mlops_platform.steps.access.routes import gateway
from mlops_platform.steps.access.steps import CollectProxySecrets
from mlops_platform.steps.component import InstallRelease, SmokeTest
from mlops_platform.steps.secrets.rotation import RotatableSecret
from mlops_platform.steps.secrets.rotation_steps import ChangeSecret, EndSecret


def plan_rotation(context: Context, name: str, secrets: Iterable[RotatableSecret], *, new: bool) -> Graph:
    """New values of one component's secrets: all of them, one roll, then the ends of the old ones; proven.

    The proof deletes no pod: that is for `up` and `smoke`, where nobody counts on an answer.
    """
    component, secrets = context.catalog[name], tuple(secrets)
    steps: list[Step] = [ChangeSecret(context, component, secret, (), new) for secret in secrets]
    steps.append(InstallRelease(context, component, tuple(step.id for step in steps)))
    rolled = (steps[-1].id,)
    if new:
        steps += [EndSecret(context, component, secret, rolled) for secret in secrets]
    if component.smoke:
        steps.append(SmokeTest(context, component, rolled, always=new, gentle=True))
    return Graph.of([*steps, *_shown(context, component, secrets, rolled)])


def _shown(
    context: Context, component: Component, secrets: Iterable[RotatableSecret], rolled: tuple[str, ...]
) -> list[Step]:
    """The way in shows a UI a proof of itself: it is told a new one too, or nobody enters any more."""
    proofs = {served.proxy_secret for served in component.serves.values() if served.proxy_secret}
    found = gateway(context)
    if found is None or not proofs & {secret.name for secret in secrets}:
        return []
    entrance, _ = found
    collect = CollectProxySecrets(context, entrance, rolled)
    release = InstallRelease(context, entrance, (collect.id,))
    after = (release.id, *((f"{component.name}/smoke",) if component.smoke else ()))
    return [collect, release, SmokeTest(context, entrance, after, always=True, gentle=True)]
