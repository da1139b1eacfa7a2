"""The admission policies of Trainer on a real API server: a JobSet goes only with its TrainJob."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.values import substitute

from tests import ROOT

pytestmark = pytest.mark.integration

JOBSET = ("jobset.x-k8s.io/v1alpha2", "JobSet")
OWNER = {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "name": "fit", "uid": "1-2-3"}
POLICIES = ROOT / "helm-values/trainer/admission.yaml"


def definition(group: str, version: str, kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
        },
    }


def account_of(kube: Kube, namespace: str, name: str) -> Kube:
    """A client as a service account that may do everything, so that only admission refuses."""
    if not kube.get("v1", "Namespace", namespace):
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    meta = {"name": name, "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{namespace}-{name}"},
            "roleRef": role,
            "subjects": [subject],
        }
    )
    return Kube(kube.kubeconfig, lambda: kube.token(namespace, name))


@pytest.fixture(scope="module")
def policies(kube: Kube) -> Iterator[None]:
    kube.apply(
        definition("jobset.x-k8s.io", "v1alpha2", "JobSet"),
        definition("trainer.kubeflow.org", "v1alpha1", "TrainingRuntime"),
    )
    found = list(yaml.safe_load_all(POLICIES.read_text()))
    kube.apply(*(substitute(each, {"name": "trainer", "namespace": "trainer"}) for each in found))
    probe = f"probe-{secrets.token_hex(3)}"
    kube.create(space(probe))

    def enforced() -> bool | Pending:
        """The API server reads policies a moment after they are stored."""
        found = refused(lambda: kube.create(runtime(probe, ttl=5)), 422)
        return bool(found) or Pending("not enforced")

    wait_until("policies", enforced, seconds=60, cancel=Cancel(), longest_delay=0.2)
    yield
    for each in reversed(found):
        kube.delete(
            each["apiVersion"], each["kind"], substitute(each["metadata"]["name"], {"name": "trainer"})
        )


def space(name: str, *, project: bool = True) -> dict[str, Any]:
    labels = {"mlops-platform/project": name} if project else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def jobset(where: str, *, owned: bool = True) -> dict[str, Any]:
    meta = {"name": "fit", "namespace": where, "ownerReferences": [OWNER] if owned else []}
    return {"apiVersion": JOBSET[0], "kind": JOBSET[1], "metadata": meta, "spec": {}}


def runtime(where: str, ttl: int | None = None) -> dict[str, Any]:
    spec = {"template": {"spec": {} if ttl is None else {"ttlSecondsAfterFinished": ttl}}}
    meta = {"name": f"own-{secrets.token_hex(3)}", "namespace": where}
    api = "trainer.kubeflow.org/v1alpha1"
    return {"apiVersion": api, "kind": "TrainingRuntime", "metadata": meta, "spec": spec}


def refused(act: Callable[[], object], status: int = 403) -> str:
    """The message of the API server; '' if it does what is asked."""
    try:
        act()
    except KubeError as error:
        assert error.status == status, error
        return f"{error.what} {error.why}"
    return ""


@pytest.fixture
def project(kube: Kube, policies: None) -> str:
    name = f"team-{secrets.token_hex(3)}"
    kube.create(space(name))
    return name


def test_member_and_administrator_are_told_to_delete_the_trainjob(kube: Kube, project: str) -> None:
    kube.create(jobset(project))
    for who in (kube, account_of(kube, project, "trainer"), account_of(kube, "jobset", "jobset-controller")):
        for how in ("Background", "Foreground", "Orphan"):
            message = refused(partial(who.delete, *JOBSET, "fit", project, propagation=how))
            assert f"(kubectl --namespace {project} delete trainjob fit)" in message


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("kube-system", "generic-garbage-collector"),
        ("kube-system", "namespace-controller"),
        ("trainer", "trainer-controller-manager"),
    ],
)
def test_controllers_may_delete_a_jobset(kube: Kube, project: str, where: str, name: str) -> None:
    kube.create(jobset(project))
    assert account_of(kube, where, name).delete(*JOBSET, "fit", project)


def test_jobset_without_a_trainjob_is_its_users(kube: Kube, project: str) -> None:
    kube.create(jobset(project, owned=False))
    assert kube.delete(*JOBSET, "fit", project)


def test_other_namespaces_are_not_concerned(kube: Kube, policies: None, namespace: str) -> None:
    kube.create(jobset(namespace))
    assert kube.delete(*JOBSET, "fit", namespace)
    kube.create(runtime(namespace, ttl=5))


def test_namespace_that_ends_is_not_blocked(kube: Kube, project: str) -> None:
    kube.create(jobset(project))
    kube.delete("v1", "Namespace", project)  # no controller finishes it here
    assert kube.delete(*JOBSET, "fit", project)


def test_runtime_with_a_time_to_live_is_refused(kube: Kube, project: str) -> None:
    assert "docs/training.md" in refused(lambda: kube.create(runtime(project, ttl=5)), 422)
    made = kube.create(runtime(project))
    made["spec"]["template"]["spec"]["ttlSecondsAfterFinished"] = 5
    assert refused(lambda: kube.replace(made), 422)
