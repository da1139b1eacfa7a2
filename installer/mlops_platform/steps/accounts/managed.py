"""Owns grants: what the cloud gives a component where no other component provides it, said in a Secret."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.adapters.kube.namespaces import JOBS_ACCOUNT
from mlops_platform.catalogue.catalogue import CAPABILITIES, Component
from mlops_platform.engine.graph import Difference
from mlops_platform.steps.accounts.accounts import MADE, mark

if TYPE_CHECKING:
    from mlops_platform.clusters.managed import Given, Reached
    from mlops_platform.run.context import Context


@dataclass(frozen=True)
class Grant:
    """What one component is to have of a capability that the cluster brings with it.

    `kind` is 'bucket' or 'pools'.
    """

    component: str
    namespace: str
    kind: str
    given: Given

    @property
    def secret(self) -> str:
        return f"{self.component}-{self.kind}"

    @property
    def digest(self) -> str:
        text = json.dumps(dict(self.given.values(self.namespace)), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def grants_of(context: Context, component: Component) -> tuple[Grant, ...]:
    """From a component's `needs`, and what the cluster gives."""
    given = context.cluster.given
    return tuple(
        Grant(component.name, component.namespace, kind, given[capability])
        for kind, capability in CAPABILITIES.items()
        if getattr(component.needs, kind) and capability in given
    )


def taken_of(context: Context, component: Component) -> tuple[str, ...]:
    """Capabilities that the cluster has and the component needs."""
    own = {*context.cluster.given, *context.cluster.servers}
    needed = (capability for kind, capability in CAPABILITIES.items() if getattr(component.needs, kind))
    return tuple(capability for capability in needed if capability in own)


def outside_of(context: Context, component: Component) -> tuple[Reached, ...]:
    """What of the cluster's own it is to reach."""
    own = {**context.cluster.given, **context.cluster.servers}
    return tuple(own[capability] for capability in taken_of(context, component))


def template_variables_of(context: Context, component: Component) -> dict[str, str]:
    """What `${…}` may say of them in values for an official chart: `${pools_region}`."""
    return {
        f"{grant.kind}_{key}": value
        for grant in grants_of(context, component)
        for key, value in grant.given.values(grant.namespace).items()
    }


def observe(context: Context, grant: Grant) -> Difference | None:
    """None when its Secret says what it would say now."""
    found = context.clients.kube.get("v1", "Secret", grant.secret, grant.namespace)
    made = ((found or {}).get("metadata", {}).get("annotations") or {}).get(MADE)
    return None if made == grant.digest else Difference(f"let it use the cloud's {grant.kind}")


def run(context: Context, grant: Grant) -> None:
    """Its pods' accounts are let in. There is no password, so nothing for whoever keeps secrets."""
    jobs = (JOBS_ACCOUNT,) if grant.given.jobs else ()
    grant.given.grant(grant.namespace, (grant.component, *jobs))
    values = dict(grant.given.values(grant.namespace))
    context.cluster_secrets.write(grant.namespace, grant.secret, values)
    mark(context.clients.kube_for_write(), grant.namespace, grant.secret, grant.digest)
