"""Checks of an environment file that need the catalogue or the cluster provider."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import Problem
from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.base.yaml import Document
from mlops_platform.catalogue import bundle
from mlops_platform.catalogue.catalogue import IDENTITY, Catalog
from mlops_platform.catalogue.component import Component
from mlops_platform.environment.model import OptionsModel


def named_provider(raw: Mapping[str, Any]) -> str:
    """Return `cluster.provider` of raw data; "" if it is missing or no text."""
    cluster = raw.get("cluster")
    provider = cluster.get("provider") if isinstance(cluster, dict) else None
    return provider if isinstance(provider, str) else ""


def cross_problems(
    document: Document,
    raw: Mapping[str, Any],
    expected_name: str,
    catalog: Catalog,
    cluster_providers: Mapping[str, OptionsModel],
    broken: frozenset[str],
) -> list[Problem]:
    """Find problems between the file and the catalogue. Takes raw data, so it runs if the model failed.

    `broken` components could not be read: neither they nor their capabilities are reported as missing.
    """
    problems: list[Problem] = []
    if isinstance(raw.get("name"), str) and raw["name"] != expected_name:
        problems.append(document.problem(("name",), f"name: differs from the file's, {expected_name}"))
    provider = named_provider(raw)
    if provider and provider not in cluster_providers:
        known = ", ".join(cluster_providers)
        problems.append(
            document.problem(("cluster", "provider"), f"no cluster provider {provider}", f"known: {known}")
        )
    chosen = raw.get("components")
    if not isinstance(chosen, dict):
        return problems
    given = {IDENTITY} if raw.get("oidc") else set()
    own = cluster_providers[provider]().managed(raw["cluster"]) if provider in cluster_providers else set()
    problems += _given_problems(document, catalog, chosen, own)
    for name, spec in chosen.items():
        if name in broken:
            continue
        if name not in catalog.entries:
            close = difflib.get_close_matches(name, catalog.entries, 1)
            hint = f"did you mean {close[0]}?" if close else "`mlops-platform component new` writes one"
            problems.append(document.problem(("components", name), f"no component {name}", hint))
            continue
        if not broken:
            problems += _requirement_problems(document, catalog, name, chosen, given | own)
        given_spec = spec if isinstance(spec, dict) else {}
        problems += _size_problems(document, catalog[name], given_spec)
        problems += _source_problems(document, catalog[name], given_spec)
        problems += _extra_problems(document, catalog[name], given_spec)
    return problems


def bundle_problems(
    document: Document, raw: Mapping[str, Any], catalog: Catalog, beside: Path | None
) -> list[Problem]:
    chosen = raw.get("components")
    known = {n: s for n, s in chosen.items() if n in catalog.entries} if isinstance(chosen, dict) else {}
    return [
        problem
        for name, spec in known.items()
        if isinstance(spec, dict)
        for problem in bundle.problems(document, catalog[name], spec, beside)
    ]


def _given_problems(
    document: Document, catalog: Catalog, chosen: Mapping[str, Any], given: Iterable[str]
) -> list[Problem]:
    """Find capabilities of both the cluster and a chosen component: one of the two would cost and be idle."""
    return [
        document.problem(("components", name), f"{word} is provided twice: {name}, the cluster", "keep one")
        for word in sorted(given)
        for name in catalog.providers(word)
        if name in chosen
    ]


def _requirement_problems(
    document: Document, catalog: Catalog, name: str, chosen: Mapping[str, Any], given: set[str]
) -> list[Problem]:
    """Find missing requirements; `given` are capabilities of the cluster or the environment."""
    problems = []
    for wanted in (word for word in catalog[name].requires if word not in given):
        able = catalog.providers(wanted)
        here = [a for a in able if a in chosen]
        place = ("components", name)
        if not here:
            problems.append(
                document.problem(
                    place,
                    f"{name} requires {wanted}, which is not chosen",
                    f"add {' or '.join(able)}" if able else "choose a cluster that has it",
                )
            )
        if len(here) > 1:
            problems.append(
                document.problem(place, f"{wanted} is provided twice: {', '.join(here)}", "keep one")
            )
    return problems


def _source_problems(document: Document, component: Component, spec: Mapping[str, Any]) -> list[Problem]:
    """Find a source that the component cannot have, and settings that `source: present` leaves unused."""
    if spec.get("source") != "present":
        return []
    place = ("components", component.name)
    if not component.api_group:
        what = f"source: present is for operators; {component.name} has no apiGroup"
        return [document.problem((*place, "source"), what, "remove source")]
    unused = [key for key in spec if key not in ("source", "extras")]
    return [
        document.problem((*place, key), f"{key}: the cluster's own operator is not changed", f"remove {key}")
        for key in unused
    ]


def _extra_problems(document: Document, component: Component, spec: Mapping[str, Any]) -> list[Problem]:
    """Find extras that the component does not have."""
    given = spec.get("extras")
    known = ", ".join(component.extras) or "none"
    return [
        document.problem(
            ("components", component.name, "extras", i),
            f"{component.name} has no extra {name}",
            f"it has {known}",
        )
        for i, name in enumerate(given if isinstance(given, list) else ())
        if isinstance(name, str) and name not in component.extras
    ]


def _size_problems(document: Document, component: Component, spec: Mapping[str, Any]) -> list[Problem]:
    """Find sizes below what the component needs, or above what machines have."""
    problems = []
    for key, convert, least in (
        ("memory", to_bytes, component.resources.memory),
        ("cpu", to_cores, "10m"),
        ("disk", to_bytes, "64Mi"),
    ):
        given = spec.get(key)
        if not isinstance(given, str):
            continue
        try:
            small = convert(given) < convert(least)
            large = convert(given) > (2**46 if convert is to_bytes else 1024)
        except ValueError:
            continue  # the model reports it
        place = ("components", component.name, key)
        if key == "disk" and not to_bytes(component.resources.disk):
            problems.append(document.problem(place, f"{component.name} keeps no data volume", "remove disk"))
        elif small:
            problems.append(document.problem(place, f"{given}: {component.name} needs at least {least}"))
        elif large:
            problems.append(document.problem(place, f"{given}: no machine has that"))
    return problems
