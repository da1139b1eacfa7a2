"""Pods of every component: pod security `restricted`, no secret in the environment, no unneeded rights."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.helm import HELM
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import RESTRICTED, ensure_namespace
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec

from tests.integration.apiserver import built
from tests.integration.chart.test_service_chart import CATALOG, EMBEDDED, objects, values_of

pytestmark = pytest.mark.integration

# Names of secret variables. A value that is a path is not secret.
_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE|ACCESS_KEY|API_KEY|FERNET", re.IGNORECASE)


@pytest.fixture(scope="module")
def helm() -> Path:
    return built(HELM) / "helm"


@pytest.fixture(params=EMBEDDED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rendered(name: str, helm: Path, tmp_path: Path) -> list[dict[str, Any]]:
    return objects(helm, tmp_path, values_of(name), name)


def specs(name: str, rendered: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Specs of all pods of the release, its jobs and its smoke tests, as sent to the API server."""
    yield from (o["spec"]["template"]["spec"] for o in rendered if "template" in o.get("spec", {}))
    component = CATALOG[name]
    for script in (*component.jobs, *component.smoke):
        mounted = {f"{name}-{secret}": secret for secret in script.secrets}
        yield pod_spec(ScriptJob("job", name, "image", {script.script: ""}, secrets=mounted, env=script.env))


def test_api_server_admits_all_pods_in_their_namespaces(
    name: str, rendered: list[dict[str, Any]], kube: Kube
) -> None:
    """Uses the real admission plugin, at the level of the component's namespace."""
    lower, namespace = CATALOG[name].pod_security, f"pods-{secrets.token_hex(4)}"
    ensure_namespace(kube, namespace, "test", lower.level if lower else RESTRICTED)
    for spec in specs(name, rendered):
        meta = {"name": "pod", "namespace": namespace}
        made = kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, dry_run=True)
        assert made["kind"] == "Pod"


def test_only_pods_with_kube_api_have_a_token(name: str, rendered: list[dict[str, Any]]) -> None:
    for spec in specs(name, rendered):
        assert spec["serviceAccountName"] != "default"
        assert spec["automountServiceAccountToken"] is False or CATALOG[name].kube_api
        assert not spec.get("hostNetwork") and not spec.get("hostPID") and not spec.get("hostIPC")
        assert not [v for v in spec.get("volumes", []) if "hostPath" in v]
    accounts = [o for o in rendered if o["kind"] == "ServiceAccount"]
    assert accounts and all(account["automountServiceAccountToken"] is False for account in accounts)


def test_environment_variables_have_no_secret(name: str, rendered: list[dict[str, Any]]) -> None:
    for spec in specs(name, rendered):
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert not container.get("envFrom")
            for variable in container.get("env", []):
                source = variable.get("valueFrom") or {}
                assert "secretKeyRef" not in source, variable
                if _SECRET.search(variable["name"]) and variable.get("value"):
                    assert _harmless(variable["value"]), variable


def _harmless(value: str) -> bool:
    """A path, a switch, or the component's own address without a password."""
    return value.startswith(("/", "file:/")) or value.lower() in ("true", "false") or value.isdigit()


def test_services_open_no_node_port(name: str, rendered: list[dict[str, Any]]) -> None:
    for service in (o for o in rendered if o["kind"] == "Service"):
        assert service["spec"].get("type", "ClusterIP") == "ClusterIP" or CATALOG[name].ingress


def test_served_ports_are_equal_in_service_and_container(name: str, rendered: list[dict[str, Any]]) -> None:
    """Network plugins match policies by the Service's port or by the container's."""
    ports = {p["port"] for o in rendered if o["kind"] == "Service" for p in o["spec"]["ports"]}
    opened = {
        port["containerPort"]
        for o in rendered
        if "template" in o.get("spec", {})
        for container in o["spec"]["template"]["spec"]["containers"]
        for port in container.get("ports", [])
    }
    served = {served.port for served in CATALOG[name].serves.values()}
    assert served <= ports and served <= opened
