"""Operators of another owner in a cluster that exists already: refused, or used as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.kube.namespaces import ENVIRONMENT_LABEL
from mlops_platform.base.errors import PreflightError
from mlops_platform.catalogue.scaffold import new_component
from mlops_platform.plan import plan_up
from mlops_platform.run.connect import read_only
from mlops_platform.run.context import Context
from mlops_platform.run.open import open_environment
from mlops_platform.steps.check import machine_checks
from mlops_platform.steps.operators import CheckOperators, checks_of

from tests.integration.apiserver import ApiServer
from tests.integration.clusters.test_existing import written
from tests.integration.kube.test_operators import RELEASE, by_another_program, definition

pytestmark = pytest.mark.integration

GROUP = "foreign.example.com"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the component `fans`, an operator for the group."""
    new_component("fans", tmp_path / "components")
    file = tmp_path / "components/fans/component.yaml"
    file.write_text(f"{file.read_text()}apiGroup: {GROUP}\n")
    monkeypatch.setenv("MLOPS_PLATFORM_COMPONENTS", str(tmp_path / "components"))
    monkeypatch.setenv("MLOPS_PLATFORM_HOME", str(tmp_path / "home"))
    return tmp_path


def context(apiserver: ApiServer, folder: Path, **spec: Any) -> Context:
    cluster = {"provider": "existing", "context": "mine", "storage_class": "standard"}
    kubeconfig = str(written(apiserver, folder))
    text = {
        "name": "shared",
        "domain": "mlops.test",
        "cluster": {**cluster, "kubeconfig": kubeconfig, "registry": "127.0.0.1:9/none"},
        "components": {"fans": spec},
    }
    (folder / "shared.yaml").write_text(json.dumps(text))
    return read_only(open_environment(str(folder / "shared.yaml")))


def unreachable(made: Context, apiserver: ApiServer) -> None:
    """Let the user's kubeconfig name a port at which no server listens."""
    file = Path(made.cluster.options.kubeconfig)  # type: ignore[attr-defined]
    file.write_text(file.read_text().replace(f":{apiserver.port}", ":9"))


def test_operator_of_another_owner_is_refused_or_used(apiserver: ApiServer, kube: Kube, folder: Path) -> None:
    missing = context(apiserver, folder, source="present")
    assert [(c.name, c.status, c.seen) for c in checks_of(missing)] == [("fans", "failure", "missing")]
    assert checks_of(context(apiserver, folder)) == []

    by_another_program(kube, definition(GROUP, "blades", annotations=RELEASE))
    refused = context(apiserver, folder)
    with pytest.raises(PreflightError) as caught:
        CheckOperators(refused).observe()
    assert "owner: Helm release fans in namespace shop" in caught.value.why
    assert "set components.fans.source: present" in caught.value.hint
    assert [c.status for c in machine_checks(refused) if c.name == "fans"] == ["failure"]

    used = context(apiserver, folder, source="present")
    assert CheckOperators(used).observe() is None
    steps = {step.id for step in plan_up(used).steps}
    assert not [id_ for id_ in steps if id_.startswith("fans/")], "nothing of it is installed"


def test_operator_of_this_environment_is_no_obstacle_and_of_another_one_is(
    apiserver: ApiServer, kube: Kube, folder: Path
) -> None:
    made = context(apiserver, folder)
    kube.apply(definition(GROUP, "wheels", labels={ENVIRONMENT_LABEL: "shared"}))
    kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"blades.{GROUP}")
    assert CheckOperators(made).observe() is None
    kube.apply(definition(GROUP, "wheels", labels={ENVIRONMENT_LABEL: "other"}))
    with pytest.raises(PreflightError, match="operators in the cluster: fans") as caught:
        CheckOperators(context(apiserver, folder)).observe()
    assert "of environment other" in caught.value.why


def test_cluster_is_asked_once_in_a_run(apiserver: ApiServer, kube: Kube, folder: Path) -> None:
    kube.apply(definition(GROUP, "belts"))
    made = context(apiserver, folder, source="present")
    checks = machine_checks(made)
    assert [c.status for c in checks if c.name == "fans"] == ["ok"], checks
    unreachable(made, apiserver)
    assert CheckOperators(made).observe() is None, "the answer of the check before is used"


def test_cluster_that_does_not_answer_is_one_skipped_check(apiserver: ApiServer, folder: Path) -> None:
    made = context(apiserver, folder)
    unreachable(made, apiserver)
    found = {check.name: check.status for check in machine_checks(made)}
    assert found["operators"] == "skipped" and found["cluster"] == "failure"
