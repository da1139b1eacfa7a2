"""Network policies on a real node: every pair, wrong policies, a network without enforcement."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.images import Images, find_recipes
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.kube.readiness import wait_ready
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.programs import Programs
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.checks import CANARY, MATRIX
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import ClusterAccess, Network
from mlops_platform.clusters.host.cluster import RECIPES, HostCluster
from mlops_platform.clusters.host.node import cgroups
from mlops_platform.engine import stored_results as record
from mlops_platform.engine.graph import Difference
from mlops_platform.engine.result import Result, load
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened
from mlops_platform.smoke import canary, matrix
from mlops_platform.smoke.verify import Verify
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec, scripts_of
from mlops_platform.steps.namespace import PrepareNamespace
from mlops_platform.steps.network.platform import ClosePlatformNamespace
from mlops_platform.steps.network.policies import API, KIND

from tests import proc
from tests.integration.host.traffic import OUTSIDE, outside_host
from tests.integration.host.world import World
from tests.integration.node import Node

pytestmark = pytest.mark.integration

CATALOG = read_catalog(Path(__file__).parent / "network")
QUIET = Silent()
OTHERS = (
    matrix.UNRELATED,
    "a pod with the labels of front in another namespace",
)
ALLOWED = {
    "store reaches store:8080",
    "reader reaches reader:8081",
    "reader reaches store:8080",
    "reader reaches the API server",
    "front reaches front:8443",
    "front reaches reader:8081",
    *(f"{o} reaches {w}" for o in OTHERS for w in (matrix.API_SERVER, matrix.NODE, matrix.OUTSIDE)),
}


@dataclass(frozen=True)
class Outward(HostCluster):
    """The node, with a host outside it."""

    def network(self) -> Network:
        return replace(super().network(), outside=f"{OUTSIDE}:8080")


@pytest.fixture(scope="module")
def work(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Context:
    folder, default = tmp_path_factory.mktemp("network"), Paths.default()
    programs = Programs(default.cache)
    images = Images(default.cache, programs, find_recipes(RECIPES, default.assets / "images"))
    environment = Environment(
        name=node.name,
        domain="example.com",
        cluster=ClusterSpec(provider="host"),
        components=dict.fromkeys(CATALOG.entries, ComponentSpec()),
    )
    paths = Paths(folder / "home", default.cache, default.assets)
    opened = Opened(paths, CATALOG, environment, folder / "unused.yaml", folder)
    made = context_of(opened, Cancel(), folder / "run")
    made.access.set(ClusterAccess(node.name, "", node.kubeconfig, "standard", ""))
    return replace(made, cluster=Outward(node.name, node.kubeconfig.parent, programs, images))


def namespaces(work: Context) -> Mapping[str, PrepareNamespace]:
    return {name: PrepareNamespace(work, resolved) for name, resolved in work.resolved.items()}


def served(name: str, port: int, image: str) -> list[Mapping[str, Any]]:
    """A pod that accepts every connection, and its Service."""
    script = matrix.SCRIPT
    run = ScriptJob(name, name, image, {script.name: script.read_text()}, ("serve", str(port)), memory="64Mi")
    labels = {"app.kubernetes.io/instance": name}
    meta = {"name": name, "namespace": name, "labels": labels}
    template = {"metadata": {"labels": labels}, "spec": {**pod_spec(run), "restartPolicy": "Always"}}
    deployment = {"selector": {"matchLabels": labels}, "template": template}
    service = {"selector": labels, "ports": [{"port": port}]}
    return [
        scripts_of(run),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]


@pytest.fixture(scope="module")
def up(node: Node, work: Context) -> Iterator[Node]:
    """Three closed namespaces with a pod each, and a host beside the node."""
    ensure_namespace(node.kube, record.NAMESPACE, node.name)
    for step in namespaces(work).values():
        assert step.observe() is not None
        step.run(QUIET)
        assert step.observe() is None
    for component in work.components:
        for each in component.serves.values():
            node.kube.apply(*served(component.name, each.port, node.image))
    for component in work.components:
        wait_ready(node.kube, component.namespace, component.name, progress=QUIET)
    provider = work.cluster
    assert isinstance(provider, HostCluster)
    with outside_host(World(provider, work.images)):
        yield node


def failed(results: list[Result]) -> set[str]:
    return {result.name for result in results if not result.ok}


def test_matrix_checks_every_pair(up: Node, work: Context) -> None:
    results = matrix.MatrixTest(work, image=up.image).run(up.kube, QUIET)
    assert not failed(results), [r for r in results if not r.ok]
    assert {r.name for r in results if " reaches " in r.name} == ALLOWED
    # 5 sources try 3 ports, the API server, the kubelet and the host outside.
    assert sum(" reaches " in r.name or " to " in r.name for r in results) == 5 * 6
    assert [r.name for r in results if "node's network" in r.name] == [
        f"refused: a pod in the node's network in {name}" for name in CATALOG.entries
    ]


def test_matrix_finds_open_and_missing_edges_and_up_restores_our_policies(up: Node, work: Context) -> None:
    """A foreign policy opens the store; the reader's policy is missing."""
    record.write(up.kube, MATRIX, "earlier", [])
    meta = {"name": "let-in", "namespace": "store"}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    up.kube.create({"apiVersion": API, "kind": KIND, "metadata": meta, "spec": spec})
    up.kube.delete(API, KIND, "flows", "reader")
    results = matrix.MatrixTest(work, 3, up.image).run(up.kube, QUIET)
    assert failed(results) == {  # no other connection fails, although all run at the same time
        *(f"refused: {other} to store:8080" for other in OTHERS),
        "reader reaches reader:8081",
        "reader reaches store:8080",
        "reader reaches the API server",
        "front reaches reader:8081",
    }
    said = (work.run_folder / "evidence/matrix/reader-reach.log").read_text()
    (node,) = up.kube.list("v1", "Node")
    assert json.dumps({"node": node["status"]["addresses"][0]["address"]}) in said
    up.kube.delete(API, KIND, "let-in", "store")
    reader = namespaces(work)["reader"]
    difference = reader.observe()
    assert difference and difference.summary == "apply network policies flows"
    reader.run(QUIET)
    assert MATRIX not in record.read(up.kube), "a result for other policies must not be stored"
    assert not failed(matrix.MatrixTest(work, image=up.image).run(up.kube, QUIET))


def test_up_repairs_a_changed_pod_security_label(up: Node, work: Context) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    up.kube.patch("v1", "Namespace", "store", body=label)
    store = namespaces(work)["store"]
    difference = store.observe()
    assert difference and difference.summary == "set label pod-security.kubernetes.io/enforce"
    store.run(QUIET)
    assert store.observe() is None


def test_canary_passes_and_does_not_run_again(
    up: Node, work: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Images, "reference", lambda _, name: up.image)
    step, closing = Verify(work, canary.CanaryTest(work)), ClosePlatformNamespace(work)
    closing.run(QUIET)
    up.kube.delete("v1", "ConfigMap", record.NAME, record.NAMESPACE)
    assert step.observe() is not None
    step.run(QUIET)
    results = load(work.run_folder)[CANARY]
    assert [(r.ok, r.negative) for r in results] == [(True, False), (True, True)] * 2 + [(True, False)]
    assert step.observe() is None
    up.kube.delete(API, KIND, "default-deny", record.NAMESPACE)
    assert closing.observe() == Difference("apply network policies default-deny")


@contextmanager
def frozen(work: Context) -> Iterator[None]:
    """The agent is stopped: the API server accepts policies, but they are not enforced."""
    provider = work.cluster
    assert isinstance(provider, HostCluster)
    agents = [
        identity
        for pid in cgroups.processes(provider.place.group)
        if b"mlops_platform.clusters.host.firewall.agent" in proc.argv(pid)
        and (identity := ProcessId.of(pid))
    ]
    assert agents
    try:
        for agent in agents:
            agent.kill(signal.SIGSTOP)
        yield
    finally:
        for agent in agents:
            agent.kill(signal.SIGCONT)


class Lenient(Kube):
    """A cluster whose network ignores policies after the canary's pods exist."""

    def __init__(self, kubeconfig: Path, work: Context) -> None:
        super().__init__(kubeconfig)
        self.until_then, self._work, self._seen = ExitStack(), work, 0

    def apply(self, *objects: Mapping[str, Any]) -> None:
        policies = [each for each in objects if each["kind"] == KIND]
        self._seen += any(each["metadata"]["namespace"].startswith(canary.PURPOSE) for each in policies)
        if self._seen == 2:  # the first policy allows everything
            self.until_then.enter_context(frozen(self._work))
        super().apply(*objects)


def test_canary_fails_if_no_policy_is_enforced(
    up: Node, work: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube = Lenient(up.kubeconfig, work)
    monkeypatch.setattr(canary, "_SECONDS", 5.0)
    monkeypatch.setitem(vars(work.clients), "kube", kube)
    monkeypatch.setattr(Images, "reference", lambda _, name: up.image)
    step = Verify(work, canary.CanaryTest(work))
    with (
        kube.until_then,
        pytest.raises(SmokeError, match="this cluster does not enforce network policies") as caught,
    ):
        step.run(QUIET)
    assert "a pod connects to another when no ingress is allowed: still open after" in caught.value.why
    assert caught.value.hint and caught.value.command
    assert step.observe() is not None
