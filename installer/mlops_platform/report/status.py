"""The rows of `status`: readiness, last smoke result, drift and age of each component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from mlops_platform.adapters.helm.release import Installed
from mlops_platform.adapters.kube import KubeError
from mlops_platform.adapters.kube.readiness import counts, waiting_for
from mlops_platform.adapters.kube.webhooks import stopped
from mlops_platform.base.errors import StepError
from mlops_platform.base.humanize import age, ago
from mlops_platform.catalogue.component import LAYERS, Component
from mlops_platform.engine.stored_results import Record, read
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.access.certificate import domain_certificate
from mlops_platform.steps.certificates import RENEW
from mlops_platform.steps.release.objects import compare
from mlops_platform.steps.release.values import release_of
from mlops_platform.steps.release.webhook_certificate import webhook_certificate
from mlops_platform.steps.secrets.vault import sealed

EMPTY, UNAVAILABLE, PRESENT, NONE = "empty", "unavailable", "present", "-"


@dataclass(frozen=True)
class Row:
    """One component. `ready` is 'ready/wanted', `empty` (no pod wanted), `unavailable` (no answer), or
    `present`: an operator of another owner, which is not looked into."""

    layer: str
    component: str
    version: str
    ready: str
    smoke: str
    drift: str
    since: str
    note: str = ""
    sealed: bool = False  # Vault runs and answers no read

    @property
    def good(self) -> bool:
        ready, _, wanted = self.ready.partition("/")
        if self.sealed:
            return False
        return self.ready in (EMPTY, PRESENT) or (
            ready == wanted and self.smoke[:1] != "✘" and self.drift == NONE
        )


def rows_of(context: Context) -> Sequence[Row]:
    """All components, queried in parallel. Raises KubeError only when the API server does not answer."""
    with ThreadPoolExecutor(8) as pool:
        installed = pool.submit(context.helm.installed)
        records = pool.submit(read, context.clients.kube)
        known, results = installed.result(), records.result()
        ordered = sorted(context.resolved.values(), key=lambda each: LAYERS.index(each.layer))
        rows = pool.map(lambda each: _row(context, each, known, results), ordered)
        return (*rows, *_present(context))


def _present(context: Context) -> list[Row]:
    """The operators that the cluster has of another owner."""
    if not context.present:
        return []
    groups = {name: resolved.component.api_group for name, resolved in context.present.items()}
    found = context.operators
    rows = []
    for name, group in groups.items():
        layer, there = context.present[name].layer, found.get(group)
        version, ready = (there.version or "unknown", PRESENT) if there else (NONE, UNAVAILABLE)
        note = f"owner: {there.owner}" if there else f"the cluster has no {group}"
        rows.append(Row(layer, name, version, ready, NONE, NONE, NONE, note))
    return rows


def _row(
    context: Context,
    resolved: ResolvedComponent,
    known: Mapping[tuple[str, str], Installed],
    results: Mapping[str, Record],
) -> Row:
    component = resolved.component
    found = known.get((component.namespace, component.name))
    if not found:
        return _plain(component, NONE, "not installed; run up", drift="missing")
    try:
        ready, note = _ready(context, component)
        drift = _drift(context, resolved, found)
    except KubeError as error:
        return _plain(component, UNAVAILABLE, f"{error.what}: {error.why}")
    result = results.get(component.name)
    if result and result.failed:
        note = note or f"{result.failed} of {result.passed + result.failed} tests failed"
    note = note or _ending(context, resolved)
    sealed_because = _sealed(context) if component == context.store else ""
    note = sealed_because or note
    if found.status != "deployed":
        note = f"release is {found.status}; run up again"
    return Row(
        component.layer,
        component.name,
        component.version,
        ready,
        _smoke(result),
        drift,
        age(found.updated),
        note,
        bool(sealed_because),
    )


def _plain(component: Component, ready: str, note: str, drift: str = NONE) -> Row:
    return Row(component.layer, component.name, component.version, ready, NONE, drift, NONE, note)


def _ready(context: Context, component: Component) -> tuple[str, str]:
    kube = context.clients.kube
    ready, wanted = counts(kube, component.namespace, component.name)
    hooks = component.webhook_certificate
    if hooks and not wanted:
        return "0/1", f"{stopped(kube, component.namespace, hooks.service)}; run up"
    if not wanted:
        return EMPTY, waiting_for(kube, component.namespace, component.name)
    note = waiting_for(kube, component.namespace, component.name) if ready != wanted else ""
    return f"{ready}/{wanted}", note


def _ending(context: Context, resolved: ResolvedComponent) -> str:
    """A warning about a certificate that ends within 30 days; `up` renews it."""
    wanted = [domain_certificate(context, resolved)] if resolved.component.needs.certificate else []
    wanted += [webhook_certificate(context, resolved)] if resolved.component.webhook_certificate else []
    left = [days for each in wanted if (days := each.days_left()) is not None]
    days = min(left, default=RENEW.days)
    if days < 0:
        return "its certificate has ended; run up"
    return f"its certificate ends in {days} days; run up" if days < RENEW.days else ""


def _sealed(context: Context) -> str:
    """Why the running secret store answers no read; '' when it does. An error is a note too."""
    try:
        error = sealed(context)
    except StepError as unreachable:
        return f"{unreachable.what}: {unreachable.why}"
    return f"{error.what}: {error.why}; {error.hint}" if error else ""


def _smoke(record: Record | None) -> str:
    if not record:
        return NONE
    return f"{'✘' if record.failed else '✔'} {ago(datetime.fromisoformat(record.when))}"


def _drift(context: Context, resolved: ResolvedComponent, found: Installed) -> str:
    """Compare the wanted with the installed release by digest, without Helm, and its objects by contents."""
    if found.digest != context.helm.digest(release_of(context, resolved)):
        return "values"
    objects = resolved.component.objects and compare(context.clients.kube, resolved).any
    return "objects" if objects else NONE
