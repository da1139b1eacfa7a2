"""A component of kind `module` for tests of its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlops_platform.catalogue.component import Component
from mlops_platform.environment.model import ComponentSpec
from mlops_platform.run.resolved import ResolvedComponent

import tests

_FOLDER = tests.CASES / "components" / "operators" / "objects"


def operator(namespace: str, folder: Path = _FOLDER, **keys: Any) -> ResolvedComponent:
    """Resolve component `operator`; `keys` are further keys of component.yaml."""
    component = Component.model_validate(
        {
            "name": "operator",
            "layer": "serving",
            "summary": "an operator of a test",
            "version": "1.2.0",
            "namespace": namespace,
            "module": {
                "name": "example.com/objects",
                "charts": ["c"],
                "images": {"manager": "operator", "storage": "storage"},
            },
            "resources": {"cpu": "1", "memory": "1Gi"},
            **keys,
        }
    )
    return ResolvedComponent(
        component, folder, ComponentSpec(), "test", (), False, {}, "", lambda recipe: f"local/{recipe}:1"
    )
