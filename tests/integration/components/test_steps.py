"""The steps of one component on a real node with the real Helm: install, smoke test, change, failure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import SmokeError
from mlops_platform.base.paths import Paths
from mlops_platform.base.progress import Silent
from mlops_platform.catalogue.read import read_catalog
from mlops_platform.clusters.base import ClusterAccess
from mlops_platform.engine.result import load
from mlops_platform.engine.stored_results import NAMESPACE, read
from mlops_platform.environment.model import ClusterSpec, ComponentSpec, Environment, SmokeChoice
from mlops_platform.run.context import Context, context_of
from mlops_platform.run.open import Opened
from mlops_platform.smoke.component import component_tests
from mlops_platform.smoke.verify import Verify
from mlops_platform.steps.jobs.run import RunJob
from mlops_platform.steps.namespace import PrepareNamespace
from mlops_platform.steps.release.install import InstallRelease

from tests.integration.apiserver import built
from tests.integration.node import Node

pytestmark = pytest.mark.integration

APP = Path(__file__).parent / "app"
QUIET = Silent()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of one component, which the tests change."""
    made = tmp_path_factory.mktemp("catalogue")
    shutil.copytree(APP, made / "app")
    return made


@pytest.fixture(scope="module")
def _helm() -> None:
    from mlops_platform.adapters.helm import HELM

    built(HELM)


def opened(node: Node, folder: Path, *, disruptive: bool = True) -> Context:
    """Context of another run, with only the state in the cluster and on disk."""
    environment = Environment(
        name=node.name,
        domain="example.com",
        cluster=ClusterSpec(provider="host"),
        components={"app": ComponentSpec()},
        smoke=SmokeChoice(disruptive=disruptive),
    )
    default = Paths.default()
    paths = Paths(folder / "home", default.cache, default.assets)
    made = context_of(
        Opened(paths, read_catalog(folder), environment, folder / "unused.yaml", folder),
        Cancel(),
        folder / "run",
    )
    made.access.set(ClusterAccess(node.name, "", node.kubeconfig, "standard", ""))
    return made


def steps(made: Context) -> tuple[PrepareNamespace, RunJob, InstallRelease, Verify]:
    app = made.resolved["app"]
    return (
        PrepareNamespace(made, app),
        RunJob(made, app, app.component.jobs[0]),
        InstallRelease(made, app),
        Verify(made, component_tests(made)["app"]),
    )


@pytest.fixture(scope="module")
def up(node: Node, folder: Path, _helm: None) -> Iterator[Node]:
    """Run all four steps once; the platform's namespace exists."""
    ensure_namespace(node.kube, NAMESPACE, node.name)
    for step in steps(opened(node, folder)):
        assert step.observe() is not None, step.id
        step.run(QUIET)
    yield node


def test_second_run_has_nothing_to_do(up: Node, folder: Path) -> None:
    assert [step.observe() for step in steps(opened(up, folder))] == [None] * 4


def test_smoke_has_positive_and_negative_tests_and_data_survives(up: Node, folder: Path) -> None:
    results = load(folder / "run")["app"]
    assert [(r.name, r.ok) for r in results] == [
        ("refused: a write without the password", True),
        ("written", True),
        ("survives", True),
        ("app-0 is ready again", True),
    ]
    record = read(up.kube)["app"]
    assert (record.passed, record.failed, record.refused) == (4, 0, 1)


def test_smoke_deletes_no_pod_if_disruption_is_off(up: Node, folder: Path) -> None:
    before = up.kube.get("v1", "Pod", "app-0", "app")
    smoke = steps(opened(up, folder, disruptive=False))[-1]
    smoke.run(QUIET)
    assert [r.name for r in load(folder / "run")["app"]] == ["refused: a write without the password"]
    after = up.kube.get("v1", "Pod", "app-0", "app")
    assert before and after and before["metadata"]["uid"] == after["metadata"]["uid"]


def test_long_smoke_test_runs_only_if_its_component_is_named(up: Node, folder: Path) -> None:
    made = opened(up, folder, disruptive=False)
    short, whole = component_tests(made)["app"], component_tests(made, whole=["app"])["app"]
    one = ["refused: a write without the password"]
    assert [r.name for r in short.run(up.kube, QUIET)] == one
    assert [r.name for r in whole.run(up.kube, QUIET)] == one * 2
    assert short.digest == whole.digest


def test_change_repeats_only_dependent_steps(up: Node, folder: Path) -> None:
    """A changed file of the program: new release and smoke test, no job. A changed script: only its step."""
    (folder / "app/serve.py").write_text((APP / "serve.py").read_text() + "# changed\n")
    _, job, release, smoke = steps(opened(up, folder))
    assert job.observe() is None
    difference = release.observe()
    assert difference and "files.serve.py" in "".join(difference.changes)
    release.run(QUIET)
    assert smoke.observe() is not None
    smoke.run(QUIET)
    (folder / "app/prepare.py").write_text((APP / "prepare.py").read_text() + "# changed\n")
    found = steps(opened(up, folder))
    assert [step.id for step in found if step.observe()] == ["app/prepare"]


def test_deleted_secret_is_created_again_and_restarts_pods(up: Node, folder: Path) -> None:
    up.kube.delete("v1", "Secret", "app-admin", "app")
    prepare, _, release, smoke = steps(opened(up, folder))
    assert prepare.observe() is not None
    prepare.run(QUIET)
    assert release.observe() is not None
    release.run(QUIET)
    smoke.run(QUIET)
    assert read(up.kube)["app"].failed == 0


def test_failed_smoke_test_is_an_error_with_evidence(up: Node, folder: Path) -> None:
    script = folder / "app/smoke.py"
    script.write_text(script.read_text().replace('== os.environ["RUN"]', '== "something else"'))
    smoke = steps(opened(up, folder))[-1]
    with pytest.raises(SmokeError, match="1 of 4 smoke tests failed") as caught:
        smoke.run(QUIET)
    assert "survives: AssertionError" in caught.value.why
    assert caught.value.evidence
    files = {file.name for file in caught.value.evidence.iterdir()}
    assert {"events.txt", "objects.yaml", "probes-smoke.py-read.log", "app-0.app.log"} <= files
    password = opened(up, folder).secrets.read("app", "app-admin")["password"]
    assert not [f for f in caught.value.evidence.iterdir() if password in f.read_text()]
    assert steps(opened(up, folder))[-1].observe() is not None


def test_aborted_script_is_a_failure(up: Node, folder: Path) -> None:
    script = folder / "app/smoke.py"
    script.write_text("raise RuntimeError('not even one probe')\n" + (APP / "smoke.py").read_text())
    with pytest.raises(SmokeError) as caught:
        steps(opened(up, folder, disruptive=False))[-1].run(QUIET)
    assert "not even one probe" in caught.value.why


def test_helm_values_have_no_secret(up: Node, folder: Path) -> None:
    from mlops_platform.adapters.helm.release import decode

    password = opened(up, folder).secrets.read("app", "app-admin")["password"]
    records = up.kube.list("v1", "Secret", "app", labels="owner=helm")
    assert records
    assert not [r for r in records if password in json.dumps(decode(r))]
