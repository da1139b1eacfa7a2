"""Values and source of a component's Helm release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.helm import (
    Certificate,
    ChartSource,
    InTreeChart,
    JsonKeys,
    KustomizeTree,
    ModuleCharts,
    OmittedRight,
    Release,
    RepositoryChart,
    Rules,
    WebhookLimit,
)
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.adapters.programs import ARCHITECTURE
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import ConfigurationError, PreflightError, Problem
from mlops_platform.base.labels import COMPONENT_LABEL, OWNED, secret_name
from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue import overlay
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.documents import values_file
from mlops_platform.catalogue.operator import Module
from mlops_platform.catalogue.pins import pin_of
from mlops_platform.catalogue.service import CHARTS, complete
from mlops_platform.catalogue.variables import IMAGE, file_variable, image_values
from mlops_platform.environment.model import ComponentSpec
from mlops_platform.run.context import Context
from mlops_platform.run.resolved import ResolvedComponent
from mlops_platform.steps.release import bundle


def release_of(context: Context, resolved: ResolvedComponent) -> Release:
    """The desired release. Reads the component's Secrets for their digest, so its namespace must exist."""
    checksum = ""
    if resolved.in_tree:
        checksum = context.secrets.digest(resolved.namespace, restarting_secrets(resolved.component))
    return Release(
        name=resolved.name,
        namespace=resolved.namespace,
        source=source_of(resolved),
        values=values_of(resolved, checksum),
        timeout_seconds=600,
        labels=OWNED,
        owner={**OWNED, ENVIRONMENT_LABEL: context.environment.name, COMPONENT_LABEL: resolved.name},
        certificate=_certificate(context, resolved),
    )


def _certificate(context: Context, resolved: ResolvedComponent) -> Certificate | None:
    """The certificate of the webhooks, as the step before the release has made it; empty before that."""
    wanted = resolved.component.webhook_certificate
    if not wanted:
        return None
    # All these Secrets have the same contents.
    stored = context.cluster_secrets.read(resolved.namespace, wanted.secrets[0])
    digest = short_digest(stored.get("tls.crt", ""))
    return Certificate(stored.get("ca.crt", ""), tuple(wanted.secrets), digest)


def source_of(resolved: ResolvedComponent) -> ChartSource:
    """The chart or tree of a release. Raises ConfigurationError if the cluster can use none."""
    component = resolved.component
    if component.embedded and resolved.in_tree:
        return InTreeChart(CHARTS / component.embedded.chart)
    if component.chart:
        chart = component.chart
        return RepositoryChart(chart.repo, chart.name, chart.version, chart.digest)
    charts, files = _overlay(resolved)
    if component.kustomize:
        tree = component.kustomize
        return KustomizeTree(tree.repo, tree.ref, tree.path, tree.tree, files)
    if component.module:
        module, pin = component.module, pin_of(resolved.folder, component.module)
        charts = charts or tuple(module.charts)
        return ModuleCharts(module.name, pin.version, pin.lines, charts, rules_of(module), files)
    raise ConfigurationError((_no_source(component),))


def _overlay(resolved: ResolvedComponent) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The kustomizations of upstream that its overlay uses, and the overlay's files; nothing without one."""
    if not resolved.component.overlay:
        return (), ()
    folder = resolved.folder / resolved.component.overlay
    known = {**resolved.variables, **image_variables(resolved)}
    return overlay.bases(folder), overlay.files(folder, known)


def rules_of(module: Module) -> Rules:
    """The rules for the objects of a module's charts."""
    return Rules(
        omit=tuple(module.omit),
        omit_containers=tuple(module.omit_containers),
        omit_webhooks=tuple(module.omit_webhooks),
        limit_webhooks=tuple(
            WebhookLimit(tuple(each.names), tuple(each.labels), each.condition)
            for each in module.limit_webhooks
        ),
        omit_rights=tuple(
            OmittedRight(tuple(each.groups), tuple(each.resources), tuple(each.verbs))
            for each in module.omit_rights
        ),
        set_json=tuple(
            JsonKeys(each.config_map, each.key, json.dumps(each.values, sort_keys=True))
            for each in module.set_json
        ),
    )


def check_runnable(context: Context) -> None:
    """Check, before a cluster is made and paid for, that the components can run on it.

    Raises ConfigurationError with every component without a source, and PreflightError if images that are
    built here are for another processor than the nodes have.
    """
    components = [resolved.component for resolved in context.resolved.values() if not resolved.in_tree]
    without = [_no_source(c) for c in components if not (c.chart or c.kustomize or c.module)]
    if not context.cluster.capabilities.takes_images:
        without += [_no_images(c) for c in components if c.module]
    if without:
        raise ConfigurationError(tuple(without))
    nodes = context.cluster.capabilities.processor
    if context.cluster.capabilities.takes_images and nodes not in ("", ARCHITECTURE):
        raise PreflightError(
            f"this machine builds images for {ARCHITECTURE}, and the nodes are {nodes}",
            why="an image is for the processor of the machine that builds it",
            hint=f"choose other instance types, or run this command on a machine that is {nodes}",
        )


def _no_source(component: Component) -> Problem:
    return Problem(
        f"helm-values/{component.name}/component.yaml",
        1,
        f"{component.name} has no pinned chart, and this cluster takes no images built here",
        "give the cluster a `registry`, or the component a `chart` with its digest",
    )


def _no_images(component: Component) -> Problem:
    return Problem(
        f"helm-values/{component.name}/component.yaml",
        1,
        f"{component.name} runs images that are built here, and this cluster takes none",
        "give the cluster a `registry`",
    )


def values_of(resolved: ResolvedComponent, checksum: str = "") -> dict[str, Any]:
    """The component's values < the environment's < what the run adds (image, checksum of Secrets)."""
    component, spec, known = resolved.component, resolved.spec, dict(resolved.variables)
    embedded = component.embedded if resolved.in_tree else None
    if embedded:
        known |= {IMAGE: resolved.reference(resolved.image), **image_variables(resolved)}
    else:
        known |= texts(resolved.folder, component) | _managed_variables(resolved) | image_variables(resolved)
    file = embedded.values if embedded else "values.yaml"
    overlaid = component.overlay and not embedded
    values = {} if overlaid else values_file(resolved.folder / file)
    values = substitute(complete(values, component) if embedded else values, known)
    if embedded:
        values = merge(values, sizes(values, spec))
        values["image"] = known[IMAGE]
        values["files"] = {name: resolved.text(name) for name in embedded.files}
        for name, table in resolved.tables.items():
            values["files"][name] = json.dumps(table(), indent=1)
        values["checksum"] = checksum
    values = merge(values, bundle.values(resolved))
    return merge(values, spec.values)


def _managed_variables(resolved: ResolvedComponent) -> dict[str, str]:
    """The template variables of managed services, for official charts: `${pools_region}`."""
    return {f"{grant.kind}_{key}": value for grant in resolved.grants for key, value in grant.values.items()}


def image_variables(resolved: ResolvedComponent) -> dict[str, str]:
    """The template variables of further images: `${image_manager}` and the parts of its reference."""
    component = resolved.component
    images = {**(component.module.images if component.module else {})}
    images |= component.embedded.images if component.embedded and resolved.in_tree else {}
    found: dict[str, str] = {}
    for name, recipe in images.items():
        found |= image_values(name, resolved.reference(recipe))
    return found


def secrets_of(component: Component) -> tuple[str, ...]:
    """The names of all Secrets that are made for a component."""
    return tuple(secret_name(component.name, key) for key in component.secret_keys)


def restarting_secrets(component: Component) -> tuple[str, ...]:
    """The names of Secrets that are read at start-up only: a new value restarts the pods."""
    keys = {key for key, need in component.needs.secrets.items() if not need.restart}
    reloaded = {secret_name(component.name, key) for key in keys | component.proxy_secrets.keys()}
    return tuple(name for name in secrets_of(component) if name not in reloaded)


def texts(folder: Path, component: Component) -> dict[str, str]:
    """The component's files, for official charts that take them as values: `${launch_py}` is launch.py."""
    files = component.embedded.files if component.embedded else ()
    return {file_variable(name): (folder / name).read_text() for name in files}


def sizes(values: Mapping[str, Any], spec: ComponentSpec) -> dict[str, Any]:
    """An environment's cpu, memory and disk as values of the in-tree chart.

    They are totals for the component: its workloads share them in the proportion of their default values.
    """
    changed: dict[str, Any] = {}
    workloads = values.get("workloads") or {}
    if workloads and (spec.cpu or spec.memory):
        parts = {n: merge(values["resources"], w.get("resources", {})) for n, w in workloads.items()}
        changed = {"workloads": {n: {"resources": r} for n, r in _shares(parts, spec).items()}}
    elif spec.cpu or spec.memory:
        changed = {"resources": _resources(spec.cpu, spec.memory)}
    if spec.disk:
        volumes = {name: {"size": spec.disk} for name in values.get("volumes", {})}
        changed = merge(changed, {"volumes": volumes})
    return changed


def _resources(cpu: str | None, memory: str | None) -> dict[str, Any]:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"requests": requests, **({"limits": {"memory": memory}} if memory else {})}


def _shares(parts: Mapping[str, Any], spec: ComponentSpec) -> dict[str, Any]:
    """Each workload's share of the totals, in the proportion of its default requests."""
    asked = {name: part["requests"] for name, part in parts.items()}
    cores = sum(to_cores(each["cpu"]) for each in asked.values())
    total = sum(to_bytes(each["memory"]) for each in asked.values())
    shares = {}
    for name, each in asked.items():
        cpu = f"{to_cores(spec.cpu) * to_cores(each['cpu']) / cores * 1000:.0f}m" if spec.cpu else None
        memory = (
            f"{to_bytes(spec.memory) * to_bytes(each['memory']) // total >> 20}Mi" if spec.memory else None
        )
        shares[name] = _resources(cpu, memory)
    return shares
