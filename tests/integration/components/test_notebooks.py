"""The admission policy of people's accounts and volumes on a real API server: only the hub uses them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.values import substitute

from tests import ROOT
from tests.integration.components.test_jobsets import account_of

pytestmark = pytest.mark.integration

POLICIES = ROOT / "helm-values/jupyterhub/admission.yaml"
NAME = "people.jupyterhub.mlops-platform"
ACCOUNT = {"serviceAccountName": "notebook-ann"}
HOME = {"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "notebook-ann"}}]}


@pytest.fixture(scope="module")
def project(kube: Kube) -> Iterator[str]:
    """The namespace of a project with the account of a person, in which the policy is enforced already."""
    documents = list(yaml.safe_load_all(POLICIES.read_text()))
    variables = {"name": "jupyterhub", "namespace": "jupyterhub"}
    kube.apply(*(substitute(each, variables) for each in documents))
    name = f"project-{secrets.token_hex(3)}"
    labels = {"mlops-platform/project": name}
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    for account in ("notebook-ann", "trainer", "default"):
        kube.apply(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": name},
            }
        )

    def enforced() -> bool | Pending:
        try:
            create(kube, name, ACCOUNT)
        except KubeError as error:
            return "accounts notebook-" in str(error.why) or Pending(str(error.why))
        return Pending("the account of a person is accepted")

    wait_until("policy", enforced, seconds=60, cancel=Cancel())
    yield name
    for each in documents:
        kube.delete(each["apiVersion"], each["kind"], NAME)


def create(kube: Kube, namespace: str, spec: dict[str, Any]) -> None:
    meta = {"name": f"p-{secrets.token_hex(4)}", "namespace": namespace}
    content = {"containers": [{"name": "main", "image": "x"}], **spec}
    kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": content})


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (ACCOUNT, "accounts notebook-… are for notebooks only"),
        (HOME, "claims notebook-… are the home folders"),
    ],
    ids=["account", "volume"],
)
def test_pod_as_another_person_or_with_the_volume_of_one_is_refused(
    kube: Kube, project: str, spec: dict[str, Any], reason: str
) -> None:
    """The caller may do everything, as the controllers may that make pods of jobs."""
    with pytest.raises(KubeError) as caught:
        create(kube, project, spec)
    assert reason in str(caught.value.why)


def test_other_accounts_and_volumes_are_not_restricted(kube: Kube, project: str) -> None:
    create(kube, project, {})
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    volumes = [claim, {"name": "tmp", "emptyDir": {}}]
    create(kube, project, {"serviceAccountName": "trainer", "volumes": volumes})


def test_hub_creates_the_pods_of_people(kube: Kube, project: str) -> None:
    create(account_of(kube, "jupyterhub", "jupyterhub"), project, {**ACCOUNT, **HOME})
