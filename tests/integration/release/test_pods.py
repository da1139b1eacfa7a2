"""The check of pods agrees with the admission of a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.helm.rendered import pod_template
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.steps.release.checks.findings import Bounds
from mlops_platform.steps.release.checks.pods import findings

import tests
from tests.integration.release.components import operator

pytestmark = pytest.mark.integration

CASES = sorted((tests.CASES / "releases").glob("*.yaml"))
LEVELS = ("privileged", "baseline", "restricted")


def pods() -> list[Any]:
    """The pod specs of all cases, except one that this API server refuses at every level (privileged)."""
    return [
        pytest.param(template["spec"], id=f"{case.stem}-{each['metadata']['name']}")
        for case in CASES
        for each in list(yaml.safe_load_all(case.read_text()))[1:]
        if (template := pod_template(each)) and each["metadata"]["name"] != "odd"
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("spec", pods())
def test_check_refuses_what_the_api_server_refuses(
    kube: Kube, tmp_path: Path, level: str, spec: dict[str, Any]
) -> None:
    namespace = f"level-{level}"
    ensure_namespace(kube, namespace, "levels", level)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace}, "spec": spec}
    wrong = [f for f in findings([pod], Bounds(operator(namespace).component, level)) if "meet" in f.what]
    try:
        kube.create(pod, dry_run=True)
        refused = False
    except KubeError as error:
        assert "violates PodSecurity" in error.why
        refused = True
    assert bool(wrong) == refused
