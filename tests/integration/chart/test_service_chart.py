"""The in-tree chart rendered by the real Helm: objects of every component, and rejected values."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.helm import HELM
from mlops_platform.base.paths import Paths
from mlops_platform.base.schema import violations
from mlops_platform.base.values import merge, substitute
from mlops_platform.catalogue.documents import values_file
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.catalogue.service import complete
from mlops_platform.catalogue.variables import IMAGE, image_values, ports

from tests import ROOT
from tests.integration.apiserver import built

pytestmark = pytest.mark.integration

CHART = ROOT / "installer/mlops_platform/charts/service"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
GOLDEN = ROOT / "tests/golden/chart"
CATALOG = read_catalog(Paths.default().assets / "helm-values")
EMBEDDED = [name for name in CATALOG.entries if CATALOG[name].embedded]
SMALL: dict[str, Any] = {
    "kind": "Deployment",
    "image": "docker.io/local/small:0",
    "ports": {"http": 8080},
    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "16Mi"}},
}


@pytest.fixture(scope="module")
def helm() -> Path:
    return built(HELM) / "helm"


def template(
    helm: Path, folder: Path, values: dict[str, Any], name: str = "small"
) -> subprocess.CompletedProcess[str]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    argv = [str(helm), "template", name, str(CHART), "--namespace", name, "--values", str(file)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def objects(helm: Path, folder: Path, values: dict[str, Any], name: str = "small") -> list[dict[str, Any]]:
    done = template(helm, folder, values, name)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def pods(rendered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [o["spec"]["template"] for o in rendered if "template" in o.get("spec", {})]


def pod(rendered: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = pods(rendered)
    return found


def values_of(name: str) -> dict[str, Any]:
    """Values as mlops-platform sets them, with constant digests and file texts."""
    component, folder = CATALOG[name], CATALOG.folder(name)
    assert component.embedded
    known: dict[str, Any] = {
        "name": name,
        "namespace": component.namespace,
        "version": "0",
        "environment": "test",
    }
    known |= {"domain": "example.com", "site": "example.com:8443", "machines": "issuer=audience"}
    known |= {"project_tokens": [{"serviceAccountToken": {"audience": "tracking"}}]}
    image = f"docker.io/local/{name}:0"
    known |= {IMAGE: image, **ports(component)}
    for key, recipe in component.embedded.images.items():
        known |= image_values(key, f"docker.io/local/{recipe}:0")
    values = substitute(complete(values_file(folder / component.embedded.values), component), known)
    files = dict.fromkeys(component.embedded.files, "its text")
    return merge(values, {"image": image, "checksum": "0", "files": files})


@pytest.mark.parametrize("name", EMBEDDED)
def test_objects_of_a_component(
    name: str, helm: Path, tmp_path: Path, golden: Callable[[Path, str], None]
) -> None:
    rendered = objects(helm, tmp_path, values_of(name), name)
    golden(GOLDEN / f"{name}.yaml", yaml.safe_dump_all(rendered, sort_keys=True, width=110))


@pytest.mark.parametrize("name", EMBEDDED)
def test_pods_of_a_component_meet_the_restricted_standard(name: str, helm: Path, tmp_path: Path) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and more."""
    for each in pods(objects(helm, tmp_path, values_of(name), name)):
        _restricted(each["spec"])


def _restricted(spec: dict[str, Any]) -> None:
    assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] >= 1000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


SEVERAL = {
    **SMALL,
    "ports": {"http": 8080, "logs": 8793},
    "env": {"A": "of all", "B": "of all"},
    "workloads": {
        "server": {"serves": ["http"], "command": ["serve"], "env": {"B": "its own"}},
        "worker": {"serves": ["logs"], "replicas": 2, "resources": {"limits": {"memory": "32Mi"}}},
        "watcher": {},
    },
}


def test_workloads_share_one_service(helm: Path, tmp_path: Path) -> None:
    """The Service selects all pods; a port goes to the pods that have a port of this name."""
    rendered = objects(helm, tmp_path, SEVERAL)
    (service,) = (o for o in rendered if o["kind"] == "Service")
    deployments = {o["metadata"]["name"]: o["spec"] for o in rendered if o["kind"] == "Deployment"}
    assert set(deployments) == {"small-server", "small-worker", "small-watcher"}
    assert {p["targetPort"] for p in service["spec"]["ports"]} == {"http", "logs"}
    selectors = [spec["selector"]["matchLabels"] for spec in deployments.values()]
    for spec in deployments.values():
        labels = spec["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert sum(selector.items() <= labels.items() for selector in selectors) == 1
    containers = {n: spec["template"]["spec"]["containers"][0] for n, spec in deployments.items()}
    ports = {n: [p["name"] for p in c.get("ports", [])] for n, c in containers.items()}
    assert ports == {"small-server": ["http"], "small-worker": ["logs"], "small-watcher": []}
    assert containers["small-server"]["env"][1] == {"name": "B", "value": "its own"}
    assert containers["small-watcher"]["env"][1] == {"name": "B", "value": "of all"}
    assert deployments["small-worker"]["replicas"] == 2
    assert containers["small-worker"]["resources"]["limits"] == {"memory": "32Mi"}
    assert containers["small-watcher"]["resources"] == SMALL["resources"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"workloads": {"server": {"serves": ["grpc"]}}}, "no port named grpc"),
        ({"workloads": {"server": {"image": "another"}}}, "image"),
        ({"volumes": {"data": {"path": "/data", "size": "1Gi"}}}, "one writer"),
    ],
    ids=["port", "key", "volume"],
)
def test_rejects_wrong_workloads(wrong: dict[str, Any], said: str, helm: Path, tmp_path: Path) -> None:
    refused = template(helm, tmp_path, {**SEVERAL, **wrong})
    assert refused.returncode != 0
    assert said in refused.stderr


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_volume_stays_after_uninstall_and_has_one_writer(kind: str, helm: Path, tmp_path: Path) -> None:
    values = {**SMALL, "kind": kind, "volumes": {"data": {"path": "/data", "size": "1Gi"}}}
    rendered = {each["kind"]: each for each in objects(helm, tmp_path, values)}
    claim = rendered["PersistentVolumeClaim"]
    assert claim["metadata"]["name"] == "small-data"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    if kind == "Deployment":
        assert rendered[kind]["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("changed", [{"checksum": "2"}, {"files": {"a": "2"}}], ids=lambda c: next(iter(c)))
def test_pods_restart_if_a_mounted_file_or_secret_changes(
    changed: dict[str, Any], helm: Path, tmp_path: Path
) -> None:
    before = {**SMALL, "checksum": "1", "files": {"a": "1"}}
    assert pod(objects(helm, tmp_path, before)) != pod(objects(helm, tmp_path, {**before, **changed}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"probes": {"ready": {"http": "http", "pathh": "/"}}}, "pathh"),
        ({"probes": {"ready": {"path": "/"}}}, "ready"),
        ({"resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}, "limits"),
        ({"resources": merge(SMALL["resources"], {"limits": {"memory": "much"}})}, "memory"),
        ({"ports": {"http": 70000}}, "http"),
        ({"kind": "DaemonSet"}, "kind"),
        ({"user": 0}, "user"),
        ({"image": ""}, "image"),
        ({"volumes": {"data": {"path": "data", "size": "1Gi"}}}, "path"),
        ({"env": {"A": 1}}, "A"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_rejects_wrong_values(wrong: dict[str, Any], said: str, helm: Path, tmp_path: Path) -> None:
    assert template(helm, tmp_path, SMALL).returncode == 0
    assert not list(violations(SCHEMA, SMALL))
    assert list(violations(SCHEMA, {**SMALL, **wrong})), "the catalogue reports what Helm refuses"
    refused = template(helm, tmp_path, {**SMALL, **wrong})
    assert refused.returncode != 0
    assert said in refused.stderr


def test_helm_lint_passes(helm: Path, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(SMALL))
    argv = [str(helm), "lint", "--strict", str(CHART), "--values", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
