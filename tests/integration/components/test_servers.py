"""An account in a managed database, created by a Job in the consumer's namespace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import ClusterAccess
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster
from mlops_platform.clusters.managed import ManagedServer
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened
from mlops_platform.steps.accounts.accounts import MakeAccount
from mlops_platform.steps.namespace import PrepareNamespace

from tests.integration.node import Node

pytestmark = pytest.mark.integration

DEFAULT = Paths.default()
CATALOG = read_catalog(DEFAULT.assets / "helm-values")
ELSEWHERE = "elsewhere"
MASTER = {"user": "postgres", "password": "of the cloud"}
QUIET = Silent()


@dataclass(frozen=True)
class Elsewhere:
    """A PostgreSQL server outside the catalogue."""

    address: tuple[str, int]

    @property
    def endpoints(self) -> Sequence[tuple[str, int]]:
        return [(f"{self.address[0]}/32", self.address[1])]

    def admin(self) -> Mapping[str, str]:
        return MASTER


@dataclass(frozen=True)
class Cloud(HostCluster):
    """The node, with a managed database server."""

    server: ManagedServer | None = None

    @property
    def managed_servers(self) -> Mapping[str, ManagedServer]:
        return {"sql": self.server} if self.server else {}


def database(image: str) -> list[dict[str, Any]]:
    """Objects that run the shipped image with the shipped files."""
    folder, embedded = CATALOG.folder("postgres"), CATALOG["postgres"].embedded
    assert embedded
    meta = {"name": "server", "namespace": ELSEWHERE}
    mounts: dict[str, dict[str, Any]] = {
        "files": {"configMap": {"name": "server"}},
        "admin": {"secret": {"secretName": "server"}},
        "data": {"emptyDir": {}},
        "run": {"emptyDir": {}},
        "tmp": {"emptyDir": {}},
    }
    paths = {
        "files": "/files",
        "admin": "/run/secrets/admin",
        "data": "/data",
        "run": "/run/postgresql",
        "tmp": "/tmp",
    }
    container = {
        "name": "server",
        "image": image,
        "command": ["sh", "/files/start.sh"],
        "env": [{"name": "PGPORT", "value": "5432"}],
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in paths.items()],
        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
    }
    spec = {
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001},
        "containers": [container],
        "volumes": [{"name": name, **source} for name, source in mounts.items()],
    }
    labels = {"app": "server"}
    pods = {"metadata": {"labels": labels}, "spec": spec}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {file: (folder / file).read_text() for file in embedded.files},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": meta,
            "stringData": {"password": MASTER["password"]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"selector": {"matchLabels": labels}, "template": pods},
        },
    ]


@pytest.fixture
def work(node: Node, tmp_path: Path) -> Iterator[Context]:
    programs = Programs(DEFAULT.cache)
    images = Images(
        DEFAULT.cache,
        programs,
        find_recipes(RECIPES, *(DEFAULT.assets / d for d in ("images", "helm-values"))),
    )
    cluster = Cloud(node.name, node.kubeconfig.parent, programs, images)
    archives = [images.build(name, QUIET, Cancel()) for name in ("postgres", "toolbox")]
    cluster.load_images(archives, QUIET, Cancel())
    node.kube.apply(*database(images.reference("postgres")))
    wait_ready(node.kube, ELSEWHERE, progress=QUIET)
    (pod,) = node.kube.list("v1", "Pod", ELSEWHERE)
    environment = Environment(
        name=node.name,
        domain="example.com",
        cluster=ClusterSpec(provider="host"),
        components={"mlflow": ComponentSpec()},
    )
    paths = Paths(tmp_path / "home", DEFAULT.cache, DEFAULT.assets)
    made = context_of(Opened(paths, CATALOG, environment, tmp_path / "none", tmp_path), Cancel(), tmp_path)
    made.access.set(ClusterAccess(node.name, "", node.kubeconfig, "standard", ""))
    yield replace(made, cluster=replace(cluster, server=Elsewhere((pod["status"]["podIP"], 5432))))
    for namespace in (ELSEWHERE, "mlflow"):
        node.kube.delete("v1", "Namespace", namespace)


def test_component_gets_its_database_in_the_managed_server(node: Node, work: Context) -> None:
    resolved = work.resolved["mlflow"]
    PrepareNamespace(work, resolved).run(QUIET)
    (account,) = [a for a in resolved.accounts if a.kind == "database"]
    step = MakeAccount(work, account, "tracking")
    assert step.observe()
    step.run(QUIET)
    assert step.observe() is None
    held = work.secrets.read("mlflow", "mlflow-database")
    server = work.cluster.managed_servers["sql"]
    assert (held["host"], held["port"]) == (server.address[0], "5432") and held["password"]
    assert held["uri"] == f"postgresql://mlflow:{held['password']}@{server.address[0]}:5432/mlflow"
    names = {s["metadata"]["name"] for s in node.kube.list("v1", "Secret", "mlflow")}
    assert names == {"mlflow-database", "mlflow-proxy"}, "the master password must not stay in a Secret"
