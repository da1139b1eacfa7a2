"""Values of the in-tree chart: `service.yaml`, completed from component.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_platform.base.values import merge
from mlops_platform.catalogue.component import Component


def complete(values: Mapping[str, Any], component: Component) -> dict[str, Any]:
    """Add ports, resources and sizes of volumes, which component.yaml has, to the values of service.yaml.

    Several workloads keep their own `resources`: parts of the component's.
    """
    wanted = component.resources
    ports = {name: served.port for name, served in component.serves.items()}
    added: dict[str, Any] = {
        "ports": ports,
        "resources": {
            "requests": {"cpu": wanted.cpu, "memory": wanted.memory},
            "limits": {"memory": wanted.memory},
        },
        "volumes": {name: {"size": wanted.disk} for name in values.get("volumes") or {}},
    }
    return merge({key: value for key, value in added.items() if value}, values)
