"""The release check: every case is a component and its rendered objects, with the problems a user sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.helm import Certificate, ModuleCharts, Release, Rules
from mlops_platform.adapters.helm.rendered import changed
from mlops_platform.base.errors import ConfigurationError, Exit
from mlops_platform.base.yaml import load
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.operator import ClusterRight
from mlops_platform.steps.release.checks.findings import Bounds
from mlops_platform.steps.release.checks.release import require_bounds
from mlops_platform.steps.release.checks.rights import short
from mlops_platform.steps.release.values import rules_of

import tests

CASES = sorted((tests.CASES / "releases").glob("*.yaml"))
COMPONENT: dict[str, Any] = {
    "name": "operator",
    "layer": "serving",
    "summary": "an operator of a test",
    "version": "1.0.0",
    "namespace": "operator",
    "resources": {"cpu": "1", "memory": "1Gi"},
}


def check(keys: dict[str, Any], objects: list[dict[str, Any]], folder: Path) -> None:
    """Check objects as the release step does, after the component's rules."""
    file = folder / "component.yaml"
    file.write_text(yaml.safe_dump({**COMPONENT, **keys}, sort_keys=False))
    component = Component.model_validate({**COMPONENT, **keys})
    module = component.module
    source = ModuleCharts("m", "v1", (), ())
    rules = rules_of(module) if module else Rules()
    release = Release("operator", "operator", source, {}, certificate=None)
    level = component.pod_security.level if component.pod_security else "restricted"
    images = frozenset({"local/operator:1"}) if module else frozenset[str]()
    require_bounds(
        changed(objects, release, rules), Bounds(component, level, images), load(file, "component.yaml")
    )


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_release_has_only_what_the_component_lists(case: Path, tmp_path: Path, update_golden: bool) -> None:
    keys, *objects = yaml.safe_load_all(case.read_text())
    seen = ""
    try:
        check(keys, objects, tmp_path)
    except ConfigurationError as error:
        assert error.exit_code == Exit.CONFIGURATION
        assert error.what.endswith("with the release of operator; it was not sent")
        seen = f"{error.why}\n"
    expected = case.with_suffix(".problems")
    if update_golden:
        expected.write_text(seen)
    assert seen == expected.read_text()
    assert bool(seen) == (case.stem != "right")


def test_authority_of_the_release_satisfies_the_check(tmp_path: Path) -> None:
    """Without `webhookCertificate` the same webhook is a problem."""
    service: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks"}}
    client = {"service": {"name": "hooks", "namespace": "operator"}}
    hooks: dict[str, Any] = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hooks"},
        "webhooks": [{"name": "hooks", "clientConfig": client, "rules": []}],
    }
    keys = {"module": {"name": "example.com/m", "charts": ["c"]}}
    with pytest.raises(ConfigurationError, match="1 problem with the release"):
        check(keys, [service, hooks], tmp_path)
    source = ModuleCharts("m", "v1", (), ())
    release = Release(
        "operator", "operator", source, {}, certificate=Certificate("CA", ("hook-cert",), "0123")
    )
    check(keys, list(map(dict, changed([service, hooks], release).objects)), tmp_path)


def test_short_line_names_changes_before_reads() -> None:
    rights: list[dict[str, Any]] = [
        {"groups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "list"]},
        {"groups": ["apps"], "resources": ["deployments"], "verbs": ["create", "get"]},
        {"groups": [""], "resources": ["pods"], "verbs": ["delete"]},
        {"role": "system:auth-delegator"},
        {"urls": ["/metrics"], "verbs": ["get"]},
    ]
    listed = [ClusterRight.model_validate({**each, "why": "for this test only"}) for each in rights]
    assert short(listed) == (
        "cluster-wide rights: changes deployments, pods; reads secrets, /metrics; roles system:auth-delegator"
    )
    assert short([]) == ""
