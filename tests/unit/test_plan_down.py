"""The graph of `down`: the order of steps, with and without external resources."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from mlops_platform.engine.graph import Graph
from mlops_platform.plan_down import plan_down
from mlops_platform.run.connect import read_only
from mlops_platform.run.open import open_environment
from mlops_platform.teardown.ignore_errors import IgnoreErrors
from mlops_platform.teardown.verify import DownOptions

LAST = ["cluster/retain", "cluster/unblock", "cluster/destroy", "cluster/sweep", "cluster/verify"]
DRAIN = ["drain/webhooks", "drain/schedules", "drain/custom", "drain/load-balancers", "drain/volumes"]
COMPONENTS = ("airflow", "gateway", "minio", "mlflow", "oauth2-proxy", "postgres", "vault")
RELEASES = ["drain/other-releases", *(f"{name}/uninstall" for name in COMPONENTS)]


@pytest.fixture(autouse=True)
def _no_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan of `down` sends no request to a cloud or cluster."""
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)


def graph(name: str, *, alive: bool = True, **options: object) -> Graph:
    asked = DownOptions(**options)  # type: ignore[arg-type]
    return plan_down(read_only(open_environment(name)), asked, alive=alive).graph


def ids(found: Graph) -> list[str]:
    return [step.id for step in found.steps]


def before(found: Graph, first: str, second: str) -> bool:
    """True: the second step always starts after the first."""
    requires = found.requires[second]
    return first in requires or any(before(found, first, each) for each in requires)


def test_external_resources_go_before_their_controllers() -> None:
    found = graph("ephemeral")
    assert set(ids(found)) == {*DRAIN, *RELEASES, "cluster-autoscaler/uninstall", *LAST, "cluster/record"}
    chain = [
        *DRAIN,
        "drain/other-releases",
        "mlflow/uninstall",
        "postgres/uninstall",
        *LAST,
        "cluster/record",
    ]
    for first, second in pairwise(chain):
        assert before(found, first, second), (first, second)


def test_releases_of_host_cluster_go_before_their_volumes() -> None:
    found = graph("local")
    assert "cluster/record" not in ids(found)
    chain = ["mlflow/uninstall", "postgres/uninstall", "drain/volumes", "cluster/destroy", "cluster/verify"]
    for first, second in pairwise(chain):
        assert before(found, first, second), (first, second)


def test_dead_cluster_is_swept_and_verified() -> None:
    assert ids(graph("ephemeral", alive=False)) == [*LAST, "cluster/record"]
    assert ids(graph("ephemeral", sweep_only=True)) == ["cluster/sweep", "cluster/verify", "cluster/record"]


def test_force_ignores_errors_except_in_sweep_and_verification() -> None:
    found = graph("ephemeral", force=True)
    unforced = {step.id for step in found.steps if not isinstance(step, IgnoreErrors)}
    assert unforced == {"cluster/sweep", "cluster/verify", "cluster/record"}


def test_snapshots_are_retained_before_their_owners_are_deleted() -> None:
    found = graph("ephemeral", retain=frozenset({"snapshots"}))
    chain = ["drain/schedules", "drain/snapshots", "drain/custom", "drain/load-balancers"]
    for first, second in pairwise(chain):
        assert before(found, first, second), (first, second)
