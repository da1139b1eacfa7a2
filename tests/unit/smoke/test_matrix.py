"""The matrix and nodes: every node is tested, except a pod's own if the network plugin allows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.endpoints import node_addresses
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.component import Component
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.aws.cluster import AwsCluster
from mlops_platform.clusters.aws.options import Options as AwsOptions
from mlops_platform.clusters.base import Network
from mlops_platform.clusters.existing.cluster import ExistingCluster
from mlops_platform.clusters.existing.options import Options
from mlops_platform.engine.result import Result
from mlops_platform.run.context import Context
from mlops_platform.smoke import matrix
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec

from tests import CASES

CATALOG = read_catalog(CASES / "policies")
OWN, OTHER = "192.0.2.1", "192.0.2.2"
REFUSED = "refused: idle to a node's kubelet"
REACHES = "idle reaches a node's kubelet"
IDLE = "idle to a node's kubelet at 192.0.2.1"


class TwoNodes:
    """A cluster without objects; it rejects pods in a node's network."""

    def list(self, _: str, kind: str, *__: str, **___: str) -> Sequence[Any]:
        addresses = [[{"type": "InternalIP", "address": each}] for each in (OWN, OTHER)]
        return [{"status": {"addresses": each}} for each in addresses] if kind == "Node" else []

    def metadata(self, *_: str, **__: str) -> Sequence[Any]:
        return []

    def get(self, *_: str) -> None: ...

    def apply(self, *_: Any) -> None: ...

    def delete(self, *_: str) -> None: ...

    def create(self, *_: Any, **__: Any) -> None:
        raise KubeError("no", status=403, why="hostNetwork")


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def probe(*open_nodes: str) -> Callable[..., str]:
    """The answers of a pod on the first node, in a network that lets it reach these nodes."""

    def run(_: Any, job: ScriptJob, *__: Any) -> str:
        variables = pod_spec(job)["containers"][0]["env"]
        (field,) = (v["valueFrom"]["fieldRef"]["fieldPath"] for v in variables if v["name"] == "NODE_ADDRESS")
        lines: list[dict[str, Any]] = [{"node": {"status.hostIP": OWN}[field]}]
        for target in json.loads(job.scripts["targets.json"])["targets"]:
            reached = target["expected"] or target["host"] in open_nodes
            answer = {"reached": reached, "ever": reached, "stable": True, "last": "", "seconds": 1.0}
            lines.append({"target": target["id"], **answer})
        return "\n".join(map(json.dumps, lines))

    return run


@pytest.fixture
def run_matrix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Result], list[str]]]:
    """Run the matrix for one component; return the results for nodes and the notes about skipped nodes."""

    def ask(network: Network, *open_nodes: str, kubelets: bool = False) -> tuple[list[Result], list[str]]:
        idle: Component = CATALOG["idle"].model_copy(update={"kubelets": kubelets})
        monkeypatch.setattr(matrix, "run_job", probe(*open_nodes))
        context = SimpleNamespace(
            catalog=CATALOG,
            components=(idle,),
            environment=SimpleNamespace(name="test", installed={"idle": None}),
            cluster=SimpleNamespace(network=lambda: network),
            clients=SimpleNamespace(api_addresses=(), node_addresses=node_addresses(cast(Kube, TwoNodes()))),
            cancel=Cancel(),
            run_folder=tmp_path,
        )
        notes = Notes()
        test = matrix.MatrixTest(cast(Context, context), image="image")
        results = test.run(cast(Kube, TwoNodes()), notes)
        left_out = [note for note in notes.texts if note.startswith("left out")]
        assert [r.ok for r in results if r.name == f"{matrix.UNRELATED} reaches a node's kubelet"] == [True]
        return [r for r in results if r.name in (REFUSED, REACHES)], left_out

    return ask


def test_matrix_tests_own_node_if_plugin_refuses_it(run_matrix: Any) -> None:
    (result,), notes = run_matrix(Network(), OWN)
    assert not result.ok and result.detail == f"{OWN}:10250: the connection was allowed" and not notes
    (result,), notes = run_matrix(Network())
    assert result.ok and result.negative and not notes


def test_component_with_kubelets_must_reach_every_node(run_matrix: Any) -> None:
    (result,), _ = run_matrix(Network(), kubelets=True)
    assert result.ok and result.name == REACHES and not result.negative


def test_matrix_skips_own_node_if_plugin_allows_it(run_matrix: Any) -> None:
    (result,), notes = run_matrix(Network(own_node=True), OWN)
    assert result.ok and len(notes) == 1 and notes[0].endswith(f": {IDLE}")
    (result,), notes = run_matrix(Network(own_node=True), OWN, OTHER)
    assert (
        not result.ok and result.detail == f"{OTHER}:10250: the connection was allowed" and IDLE in notes[0]
    )


def test_refused_own_node_counts_if_plugin_allows_it(run_matrix: Any) -> None:
    (result,), notes = run_matrix(Network(own_node=True))
    assert result.ok and not notes


def test_own_node_may_be_open_on_eks_and_existing_clusters(tmp_path: Path) -> None:
    """Our agent on `host` refuses it: tests/integration/components/test_network.py."""
    eks = AwsCluster("one", tmp_path, AwsOptions(provider="aws", region="eu-central-1"))
    theirs = Options(provider="existing", kubeconfig="config", context="mine", storage_class="standard")
    assert eks.network().own_node and ExistingCluster("one", tmp_path, theirs).network().own_node
    assert not Network().own_node
