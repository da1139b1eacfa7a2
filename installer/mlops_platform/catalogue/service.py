"""Values of the in-tree chart: service.yaml, completed from component.yaml and checked by its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

from mlops_platform.base.errors import Problem
from mlops_platform.base.labels import secret_name
from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.base.schema import Place, violations
from mlops_platform.base.values import merge
from mlops_platform.base.yaml import Document
from mlops_platform.catalogue.component import Component

CHARTS = Path(__file__).resolve().parents[1] / "charts"
# Keys that only the installer sets, with values that satisfy the schema.
_SET_BY_US: dict[str, Any] = {"image": "image", "checksum": "", "files": {}}


def complete(values: Mapping[str, Any], component: Component) -> dict[str, Any]:
    """Add ports, resources and sizes of volumes, which component.yaml has, to the values of service.yaml.

    Several workloads keep their own `resources`: parts of the component's.
    """
    wanted = component.resources
    added: dict[str, Any] = {
        "ports": {name: served.port for name, served in component.serves.items()},
        "resources": {
            "requests": {"cpu": wanted.cpu, "memory": wanted.memory},
            "limits": {"memory": wanted.memory},
        },
    }
    if volumes := values.get("volumes"):
        added["volumes"] = {name: {"size": wanted.disk} for name in volumes}
    return merge(added, values)


def problems(document: Document, component: Component) -> Iterator[Problem]:
    """Find what Helm would refuse in a service.yaml, and what would keep its pods from starting."""
    data = document.data
    if not isinstance(data, dict):
        if not document.problems:
            yield document.problem((), "must be a mapping of keys to values", "see docs/components.md")
        return
    yield from _given_elsewhere(document, component, data)
    whole = {**_completed(data, component), **_SET_BY_US}
    assert component.embedded
    found = list(violations(_schema(component.embedded.chart), whole))
    for each in found:
        dotted = ".".join(str(part) for part in each.place)
        yield document.problem(each.place, f"{dotted}: {each.what}", each.hint)
    if not found:
        yield from _dangling(document, component, whole)


def _completed(data: Mapping[str, Any], component: Component) -> Mapping[str, Any]:
    """Values as the chart gets them, or the raw ones where they have not the types for that."""
    volumes = data.get("volumes", {})
    right = isinstance(volumes, dict) and all(isinstance(each, dict) for each in volumes.values())
    return complete(data, component) if right else {"ports": {}, "resources": {}, **data}


@cache
def _schema(chart: str) -> Any:
    return json.loads((CHARTS / chart / "values.schema.json").read_text())


def _given_elsewhere(document: Document, component: Component, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Find keys of service.yaml whose value comes from component.yaml or from the installer."""
    for key in _SET_BY_US:
        if key in data:
            yield document.problem((key,), f"{key}: set by mlops-platform", "remove it")
    ports, volumes = data.get("ports"), data.get("volumes")
    for name in ports if isinstance(ports, dict) else ():
        if name in component.serves:
            hint = "remove it here: it comes from `serves` in component.yaml"
            yield document.problem(("ports", name), f"ports.{name}: given twice", hint)
    for name, volume in volumes.items() if isinstance(volumes, dict) else ():
        if isinstance(volume, dict) and "size" in volume:
            hint = "remove it: it comes from `resources.disk` in component.yaml"
            yield document.problem(("volumes", name, "size"), f"volumes.{name}.size: given twice", hint)
    if "resources" in data and not data.get("workloads"):
        hint = "remove it: it comes from `resources` in component.yaml"
        yield document.problem(("resources",), "resources: given twice", hint)


def _dangling(document: Document, component: Component, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Find names in service.yaml that lead nowhere, and amounts that do not fit component.yaml."""
    ports, numbers = values["ports"], list(values["ports"].values())
    made = [secret_name(component.name, key) for key in component.secret_keys]
    for name, number in ports.items():
        if numbers.count(number) > 1:
            what = f"ports.{name}: another port has the number {number} too"
            yield document.problem(("ports", name), what, "give each port its own number")
    workloads = values.get("workloads") or {}
    places: list[tuple[Place, Mapping[str, Any], set[str]]] = [((), values, set(ports))]
    if workloads:
        places = [(("workloads", n), w, set(w.get("serves", ()))) for n, w in workloads.items()]
        yield from _parts(document, component, values)
    for place, each, own in places:
        for name in sorted(own - set(ports)):
            what = f"no port {name}; the ports are {', '.join(ports) or 'none'}"
            yield document.problem((*place, "serves"), what, "add it to `serves` in component.yaml")
        for kind, probe in (each.get("probes") or values.get("probes") or {}).items():
            port = probe.get("http") or probe.get("tcp")
            if port and port not in own:
                what = f"probes.{kind}: no port {port}; the ports here are {', '.join(sorted(own)) or 'none'}"
                yield document.problem((*place, "probes", kind), what, "name a port of this workload")
        for secret in each.get("secrets") or {}:
            if secret not in made:
                what = f"secrets.{secret}: no such Secret is made for {component.name}"
                hint = f"known: {', '.join(made) or 'none'}"
                yield document.problem((*place, "secrets", secret), what, hint)
    has_disk, volumes = to_bytes(component.resources.disk) > 0, values.get("volumes") or {}
    if volumes and not has_disk:
        yield document.problem(("volumes",), "volumes, but no disk", "add resources.disk to component.yaml")
    if volumes and workloads:
        what = "volumes with several workloads: a volume has one writer"
        yield document.problem(("volumes",), what, "use one workload, or another component's storage")


def _parts(document: Document, component: Component, values: Mapping[str, Any]) -> Iterator[Problem]:
    """Check that the requests of the workloads add up to those of the component."""
    parts = [merge(values["resources"], w.get("resources", {})) for w in values["workloads"].values()]
    for key, amount in (("cpu", to_cores), ("memory", to_bytes)):
        total = sum(amount(part["requests"][key]) for part in parts)
        wanted = getattr(component.resources, key)
        if not isclose(total, amount(wanted), rel_tol=1e-6):
            what = f"{key}: the workloads do not add up to the {wanted} of component.yaml"
            yield document.problem(("workloads",), what, "change `resources` in one of the two files")
