"""Owns what `up` ends with: what runs, where, how to log in, what was proven, what is not here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mlops_platform.catalogue.checks import IDENTITIES, MATRIX
from mlops_platform.run.context import Context


@dataclass(frozen=True)
class Proven:
    """Probes of all components together, and when the oldest of their proofs was made."""

    passed: int
    failed: int
    refused: int
    when: datetime


@dataclass(frozen=True)
class Endpoint:
    """Something a person opens: what, the command or address, how to log in."""

    what: str
    where: str
    login: str


@dataclass(frozen=True)
class Summary:
    environment: str
    endpoints: Sequence[Endpoint]
    proven: Proven | None
    next: Sequence[str]

    @property
    def data(self) -> dict[str, Any]:
        proven = self.proven
        smoke = {**asdict(proven), "when": proven.when.isoformat()} if proven else None
        return {
            "doors": [asdict(endpoint) for endpoint in self.endpoints],
            "smoke": smoke,
            "next": list(self.next),
        }


def summary_of(context: Context) -> Summary:
    name = context.environment.name
    from mlops_platform.environment.issuer import origin
    from mlops_platform.environment.uis import exposed_uis, gateway

    opened = [
        (component, served)
        for component, served in exposed_uis(context.environment, context.catalog)
        if not served.public
    ]
    way_in = gateway(context.environment, context.catalog)
    endpoints = [
        Endpoint(
            c.name,
            origin(context.environment, c, s) if way_in else f"mlops-platform open {c.name} --env {name}",
            s.login,
        )
        for c, s in opened
    ]
    if way_in:
        endpoints.append(Endpoint("certificate", f"mlops-platform trust --env {name}", ""))
    endpoints.append(Endpoint("kubectl", f"export KUBECONFIG=$(mlops-platform kubeconfig --env {name})", ""))
    commands = [*(f"open {c.name}" for c, _ in opened[:1]), "smoke", "down"]
    return Summary(name, endpoints, proven(context), [f"mlops-platform {c} --env {name}" for c in commands])


def proven(context: Context, names: Collection[str] = ()) -> Proven | None:
    """What the records in the cluster say, of all components or of some; None when nothing was proven."""
    from mlops_platform.engine.stored_results import read

    here = {n for n in (MATRIX, IDENTITIES, *(c.name for c in context.components)) if not names or n in names}
    records = [r for name, r in read(context.clients.kube).items() if name in here]
    if not records:
        return None
    return Proven(
        sum(r.passed for r in records),
        sum(r.failed for r in records),
        sum(r.refused for r in records),
        datetime.fromisoformat(min(r.when for r in records)),
    )
