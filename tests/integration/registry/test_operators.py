"""Operators on an existing cluster: `down` removes those of the environment and leaves those of others."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.catalogue.scaffold import new_component

from tests.integration.kube.test_operators import RELEASE, definition
from tests.integration.node import Node
from tests.integration.registry.conftest import Person

pytestmark = pytest.mark.integration

FANS = "fans.example.com"
_RBAC, _ADMISSION = "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1"
KINDS = [
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io/v1", "APIService"),
    *((_RBAC, kind) for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")),
    *((_ADMISSION, f"{kind}WebhookConfiguration") for kind in ("Validating", "Mutating")),
    *((_ADMISSION, f"ValidatingAdmissionPolicy{kind}") for kind in ("", "Binding")),
]
THEIRS = ((f"{FANS}/v1", "Blade"), (f"{FANS}/v1", "Wheel"))


def everything(node: Node, *more: tuple[str, str]) -> set[str]:
    """The objects that operators and their users may leave in a cluster; `more` are further kinds."""
    kube = Kube(node.kubeconfig)  # another client may know kinds that are gone
    names = {
        f"{kind} {each['metadata'].get('namespace', '')}/{each['metadata']['name']}"
        for version, kind in (*KINDS, *more)
        for each in kube.list(version, kind)
    }
    return names - {"Namespace /mlops-platform"}


def operator_of_another_owner(node: Node) -> None:
    """Two kinds with an object of each; its controller is stopped, so its finalizer would stay."""
    for plural, scope in (("blades", "Cluster"), ("wheels", "Namespaced")):
        kind = definition(FANS, plural, annotations=RELEASE)
        kind["spec"]["scope"] = scope
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        kind["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
        node.kube.apply(kind)
    meta = {"name": "theirs", "finalizers": [f"{FANS}/held"]}
    node.kube.apply({"apiVersion": f"{FANS}/v1", "kind": "Blade", "metadata": meta})
    node.kube.apply(
        {"apiVersion": f"{FANS}/v1", "kind": "Wheel", "metadata": {**meta, "namespace": "default"}}
    )


def component_for_it(person: Person) -> None:
    """The component of that operator, which applies an object of its own."""
    new_component("fans", person.components)
    file = person.components / "fans/component.yaml"
    file.write_text(f"{file.read_text()}apiGroup: {FANS}\nobjects: [blades.yaml]\n")
    blade = f"apiVersion: {FANS}/v1\nkind: Blade\nmetadata: {{name: ours}}\n"
    (person.components / "fans/blades.yaml").write_text(blade)


def jobset(project: str) -> dict[str, Any]:
    """A JobSet that never starts, as a user leaves it."""
    pod = {"restartPolicy": "Never", "containers": [{"name": "work", "image": "example.com/none"}]}
    job = {"name": "work", "template": {"spec": {"template": {"spec": pod}}}}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": "left", "namespace": project},
        "spec": {"suspend": True, "replicatedJobs": [job]},
    }


def held(api: str, kind: str, project: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object with a finalizer that no controller removes."""
    meta = {"name": "held", "namespace": project, "finalizers": ["example.com/held"]}
    return {"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec}


def job_and_model(node: Node, project: str) -> None:
    """A training job that runs, and a model that is not there, both with objects of their own."""
    trainer = {"command": ["python3", "-c", "import time; time.sleep(600)"]}
    spec = {"runtimeRef": {"name": "python"}, "trainer": trainer}
    node.kube.create(held("trainer.kubeflow.org/v1alpha1", "TrainJob", project, spec))
    pod = {"containers": [{"name": "kserve-container", "image": "example.com/none"}]}
    node.kube.create(held("serving.kserve.io/v1beta1", "InferenceService", project, {"predictor": pod}))
    selector = "batch.kubernetes.io/job-name=held-node-0"

    def there() -> bool | Pending:
        pods = node.kube.list("v1", "Pod", project, labels=selector)
        phases = [pod["status"].get("phase") for pod in pods]
        model = node.kube.get("apps/v1", "Deployment", "held-predictor", project)
        return (phases == ["Running"] and bool(model)) or Pending(f"{phases}, {bool(model)}")

    wait_until("the pod of the job, and the Deployment of the model", there, seconds=120)


def stop(node: Node, **deployments: str) -> None:
    """Scale operators to 0, and wait until their pods are gone."""
    for namespace, name in deployments.items():
        node.kube.patch("apps/v1", "Deployment", name, namespace, body={"spec": {"replicas": 0}})

        def stopped(space: str = namespace) -> bool | Pending:
            return not node.kube.list("v1", "Pod", space) or Pending("its pod ends")

        wait_until(f"{name} is stopped", stopped, seconds=60)


def test_down_removes_operators_of_ours_and_leaves_those_of_others(node: Node, person: Person) -> None:
    operator_of_another_owner(node)
    before = everything(node, *THEIRS)
    component_for_it(person)
    person.choose(fans={}, jobset={})
    code, said = person.says("up", "--yes")
    assert code == 4 and "owner: Helm release fans" in str(said), said

    person.choose(fans={"source": "present"}, jobset={})
    code, said = person.says("up", "--yes")
    assert code == 0, said
    assert node.kube.get(f"{FANS}/v1", "Blade", "ours")
    code, said = person.says("project", "add", "team")
    assert code == 0, said
    node.kube.apply(jobset("team"))

    code, said = person.says("down", "--yes")
    assert (code, said["data"]["left"]) == (0, []), said
    assert node.kube.get("v1", "Namespace", "mlops-platform") is None, "`down` waits for its end"
    wait_until(
        "nothing of the environment is left",
        lambda: everything(node, *THEIRS) == before or Pending(str(everything(node, *THEIRS) ^ before)),
        seconds=60,
    )
    for kind, namespace in (("Blade", ""), ("Wheel", "default")):
        theirs = node.kube.get(f"{FANS}/v1", kind, "theirs", namespace)
        assert theirs and theirs["metadata"]["finalizers"] == [f"{FANS}/held"]
        free = {"metadata": {"finalizers": None}}
        node.kube.patch(f"{FANS}/v1", kind, "theirs", namespace, body=free)
    for plural in ("blades", "wheels"):
        node.kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{plural}.{FANS}")


@pytest.mark.soak
def test_down_is_not_blocked_by_jobs_and_models_of_stopped_operators(node: Node, person: Person) -> None:
    before = everything(node)
    person.choose(jobset={}, trainer={}, kserve={})
    for command in (("up", "--yes"), ("project", "add", "team")):
        code, said = person.says(*command)
        assert code == 0, said
    job_and_model(node, "team")
    stop(
        node,
        trainer="trainer-controller-manager",
        jobset="jobset-controller",
        kserve="kserve-controller-manager",
    )
    started = time.monotonic()
    code, said = person.says("down", "--yes")
    assert (code, said["data"]["left"]) == (0, []), said
    assert time.monotonic() - started < 240, "a wait for an object ends after 300 s"
    wait_until(
        "nothing of the environment is left",
        lambda: everything(node) == before or Pending(str(everything(node) ^ before)),
        seconds=60,
    )
