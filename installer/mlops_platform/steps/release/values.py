"""Owns what a component's Helm release is made of: its source, and its values in layers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlops_platform.adapters.helm import ChartSource, InTreeChart, KustomizeTree, Release, RepositoryChart
from mlops_platform.adapters.programs import ARCHITECTURE
from mlops_platform.base.digest import short_digest
from mlops_platform.base.errors import ConfigurationError, PreflightError, Problem
from mlops_platform.base.labels import OWNED
from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue.catalogue import Component, SmokeSpec, values_file
from mlops_platform.catalogue.service import complete
from mlops_platform.environment.model import ComponentSpec
from mlops_platform.run.context import Context
from mlops_platform.run.variables import template_variables
from mlops_platform.steps.accounts.managed import template_variables_of
from mlops_platform.steps.release import bundle as bundled

_CHARTS = Path(__file__).resolve().parents[2] / "charts"
_PROBES = Path(__file__).resolve().parents[2] / "smoke" / "probes.py"


def release_of(context: Context, component: Component) -> Release:
    """The desired release. Reads the component's Secrets for their digest, so its namespace must exist."""
    return Release(
        name=component.name,
        namespace=component.namespace,
        source=_source(context, component),
        values=values_of(context, component),
        timeout_seconds=600,
        labels=OWNED,
    )


def _source(context: Context, component: Component) -> ChartSource:
    if component.embedded and context.in_tree(component):
        return InTreeChart(_CHARTS / component.embedded.chart)
    if component.chart:
        chart = component.chart
        return RepositoryChart(chart.repo, chart.name, chart.version, chart.digest)
    if component.kustomize:
        tree = component.kustomize
        return KustomizeTree(tree.repo, tree.ref, tree.path, tree.digest)
    raise ConfigurationError((_no_source(component),))


def check_runnable(context: Context) -> None:
    """What cannot run on such a cluster is said before the cluster is made, and paid for.

    Raises ConfigurationError with every component without a source, and PreflightError where images built
    here have another processor than the nodes.
    """
    found = [_no_source(c) for c in context.components if not (c.chart or c.kustomize or context.in_tree(c))]
    if found:
        raise ConfigurationError(tuple(found))
    nodes = context.cluster.processor
    if context.cluster.takes_images and nodes not in ("", ARCHITECTURE):
        raise PreflightError(
            f"this machine builds images for {ARCHITECTURE}, and the nodes are {nodes}",
            why="images are built for the processor they are built on",
            hint=f"other instance types for the nodes, or run the same on a machine that is {nodes}",
        )


def _no_source(component: Component) -> Problem:
    return Problem(
        f"helm-values/{component.name}/component.yaml",
        1,
        f"{component.name} has no pinned chart, and this cluster takes no images built here",
        "give the cluster a `registry`, or the component a `chart` with its digest",
    )


def values_of(context: Context, component: Component) -> dict[str, Any]:
    """The component's values < the environment's < what only this run knows (image, secrets' digest)."""
    embedded = component.embedded if context.in_tree(component) else None
    file = embedded.values if embedded else "values.yaml"
    known = template_variables(context, component)
    if not embedded:
        known |= texts(context.catalog.folder(component.name), component)
        known |= template_variables_of(context, component)
    values = values_file(context.catalog.folder(component.name) / file)
    values = substitute(complete(values, component) if embedded else values, known)
    spec = context.environment.components[component.name]
    if embedded:
        values = merge(values, sizes(values, spec))
        values["image"] = context.images.reference(bundled.image(context, component))
        folder = context.catalog.folder(component.name)
        values["files"] = {name: (folder / name).read_text() for name in embedded.files}
        if component.ingress:
            from mlops_platform.steps.access.routes import FILE, routes_of

            values["files"][FILE] = json.dumps(routes_of(context), indent=1)
        values["checksum"] = context.secrets.digest(component.namespace, rolling_secrets(component))
    values = merge(values, bundled.values(context, component, template_variables(context, component)))
    return merge(values, spec.values)


def used_secrets(component: Component) -> tuple[str, ...]:
    """Names of every Secret made for a component."""
    needs = component.needs
    names = [f"{component.name}-{n}" for n in needs.secrets]
    kinds = [kind for kind in ("database", "bucket", "client", "certificate") if getattr(needs, kind)]
    kinds += ["proofs"] if component.ingress else []
    return (*names, *(f"{component.name}-{kind}" for kind in kinds))


def rolling_secrets(component: Component) -> tuple[str, ...]:
    """Those that pods take at their start: with a new value they are started anew."""
    told = {f"{component.name}-{name}" for name, need in component.needs.secrets.items() if not need.restart}
    return tuple(name for name in used_secrets(component) if name not in told)


def texts(folder: Path, component: Component) -> dict[str, str]:
    """The files it runs with, for official charts that take them as values: `${launch_py}` is launch.py."""
    files = component.embedded.files if component.embedded else ()
    return {re.sub(r"\W", "_", name): (folder / name).read_text() for name in files}


def sizes(values: Mapping[str, Any], spec: ComponentSpec) -> dict[str, Any]:
    """An environment's cpu, memory and disk as values of the in-tree chart.

    They are the component's in all: several workloads share them as their own values do.
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
    """Each workload's part of what is given, in the proportion of what they request by themselves."""
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


def smoke_digest(context: Context, component: Component) -> str:
    """What a passed smoke test was a proof of: the release, its probes, and everything it stands on.

    Not of the values of its secrets: a rotation proves its own.
    """
    release = release_of(context, component)
    plain = {key: value for key, value in release.values.items() if key != "checksum"}
    parts: list[Any] = [context.helm.digest(replace(release, values=plain))]
    parts += [smoke_scripts(context, component, spec) for spec in component.smoke]
    parts += [s.model_dump(mode="json") for s in component.smoke]
    for name in context.catalog.edges(component.name, context.environment.components):
        parts.append(smoke_digest(context, context.catalog[name]))
    return short_digest(parts)


def smoke_scripts(context: Context, component: Component, spec: SmokeSpec) -> dict[str, str]:
    """The probes, what they are made with, and how the component makes accounts: the probes use that too."""
    folder = context.catalog.folder(component.name)
    names = [spec.script, *spec.files, *(p.script for p in component.provides.values() if p.script)]
    texts = {name: (folder / name).read_text() for name in names} | {_PROBES.name: _PROBES.read_text()}
    if component.ingress:
        from mlops_platform.steps.access.routes import FILE, routes_of

        texts[FILE] = json.dumps(routes_of(context))
    return texts | (_login(context) if spec.people else {})


def _login(context: Context) -> dict[str, str]:
    """How probes log in at the platform's own issuer."""
    from mlops_platform.catalogue.catalogue import IDENTITY
    from mlops_platform.environment.issuer import provider

    chosen = provider(context.environment, context.catalog)
    if not chosen:
        return {}
    return {"login.py": (context.catalog.folder(chosen.name) / chosen.provides[IDENTITY].login).read_text()}
