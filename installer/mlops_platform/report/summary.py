"""The result of `up`: endpoints, how to log in, smoke result, next commands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mlops_platform.catalogue.checks import GPUS, IDENTITIES, MATRIX, PROJECTS
from mlops_platform.engine.stored_results import read
from mlops_platform.environment.issuer import origin
from mlops_platform.environment.uis import exposed_uis, gateway, home
from mlops_platform.run.context import Context


@dataclass(frozen=True)
class SmokeResult:
    """The smoke tests of several components, and the time of the oldest result."""

    passed: int
    failed: int
    negative: int
    when: datetime


@dataclass(frozen=True)
class Endpoint:
    """An exposed UI or a command: name, address, how to log in."""

    what: str
    where: str
    login: str


@dataclass(frozen=True)
class Summary:
    environment: str
    endpoints: Sequence[Endpoint]
    smoke: SmokeResult | None
    next: Sequence[str]

    @property
    def data(self) -> dict[str, Any]:
        smoke = {**asdict(self.smoke), "when": self.smoke.when.isoformat()} if self.smoke else None
        return {
            "endpoints": [asdict(endpoint) for endpoint in self.endpoints],
            "smoke": smoke,
            "next": list(self.next),
        }


def news(context: Context) -> dict[str, list[str]]:
    """Lines for the moment at which UIs answer: after the ingress's smoke test, or each component's own.

    The rest of the run may still take long: operators are built last.
    """
    ingress = gateway(context.environment, context.catalog)
    found: dict[str, list[str]] = {}
    late = context.catalog.late_uis(context.resolved)
    for endpoint in _uis(context):
        step = f"{ingress[0].name if ingress and endpoint.what not in late else endpoint.what}/smoke"
        found.setdefault(step, []).append(f"✔ {endpoint.what} answers: {endpoint.where}")
    return found


def _uis(context: Context) -> list[Endpoint]:
    """The UIs that people open, the home page first."""
    name, ingress = context.environment.name, gateway(context.environment, context.catalog)
    exposed = sorted(exposed_uis(context.environment, context.catalog), key=lambda each: not each[1].home)
    return [
        Endpoint(
            c.name,
            origin(context.environment, c, s) if ingress else f"mlops-platform open {c.name} --env {name}",
            s.login,
        )
        for c, s in exposed
        if not s.public
    ]


def summary_of(context: Context) -> Summary:
    name, endpoints = context.environment.name, _uis(context)
    first = (
        ["open"]
        if home(context.environment, context.catalog)
        else [f"open {ui.what}" for ui in endpoints[:1]]
    )
    commands = [*first, "smoke", "down"]
    if gateway(context.environment, context.catalog):
        endpoints.append(Endpoint("certificate", f"mlops-platform trust --env {name}", ""))
    endpoints.append(Endpoint("kubectl", f"export KUBECONFIG=$(mlops-platform kubeconfig --env {name})", ""))
    return Summary(
        name, endpoints, smoke_result(context), [f"mlops-platform {c} --env {name}" for c in commands]
    )


def smoke_result(context: Context, names: Collection[str] = ()) -> SmokeResult | None:
    """The sum of the results stored in the cluster, for all components or `names`; None without any."""
    chosen = set(names) or {MATRIX, IDENTITIES, PROJECTS, GPUS, *(c.name for c in context.components)}
    records = [r for name, r in read(context.clients.kube).items() if name in chosen]
    if not records:
        return None
    return SmokeResult(
        sum(r.passed for r in records),
        sum(r.failed for r in records),
        sum(r.refused for r in records),
        datetime.fromisoformat(min(r.when for r in records)),
    )
