"""The admission policy of Experiments on a real API server: what cannot go on is refused, with the reason."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.values import substitute

from tests import ROOT
from tests.integration.components.test_jobsets import definition

pytestmark = pytest.mark.integration

POLICIES = ROOT / "helm-values/katib/admission.yaml"
LABEL = "mlops-platform/trials-of"
CONTAINER = {"name": "main", "image": "x", "command": ["true"]}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {"template": {"spec": {"containers": [CONTAINER]}}},
}
TRAINJOB = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainJob",
    "spec": {"trainer": {"command": ["true"]}},
}
X = {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "-1e-5", "max": "1.5E2"}}
SPEC: Mapping[str, Any] = {
    "algorithm": {"algorithmName": "random"},
    "parameters": [X],
    "trialTemplate": {"primaryContainerName": "main", "trialSpec": JOB},
}


@pytest.fixture(scope="module")
def project(kube: Kube) -> Iterator[str]:
    """The namespace of a project, in which the policy is enforced already."""
    kube.apply(definition("kubeflow.org", "v1beta1", "Experiment"))
    documents = list(yaml.safe_load_all(POLICIES.read_text()))
    kube.apply(*(substitute(each, {"name": "katib", "namespace": "katib"}) for each in documents))
    name = f"project-{secrets.token_hex(3)}"
    labels = {"mlops-platform/project": name}
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})

    def enforced() -> bool | Pending:
        try:
            create(kube, name)
        except KubeError as error:
            return "algorithmName" in str(error.why) or Pending(str(error.why))
        return Pending("an Experiment without anything is accepted")

    wait_until("policy", enforced, seconds=60, cancel=Cancel())
    yield name
    for each in documents:
        kube.delete(each["apiVersion"], each["kind"], "experiments.katib.mlops-platform")


def create(kube: Kube, namespace: str, **spec: Any) -> None:
    create_labelled(kube, namespace, {LABEL: namespace}, **spec)


def create_labelled(kube: Kube, namespace: str, labels: dict[str, str], **spec: Any) -> None:
    meta = {"name": f"e-{secrets.token_hex(4)}", "namespace": namespace, "labels": labels}
    kube.create({"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": meta, "spec": spec})


def space(kind: str = "double", **bounds: str) -> dict[str, Any]:
    return {"parameters": [{"name": "x", "parameterType": kind, "feasibleSpace": bounds}]}


def logarithmic(algorithm: str, **bounds: str) -> dict[str, Any]:
    return {**space(**bounds, distribution="logUniform"), "algorithm": {"algorithmName": algorithm}}


def template(trial: dict[str, Any], container: str = "main") -> dict[str, Any]:
    return {"trialTemplate": {"primaryContainerName": container, "trialSpec": trial}}


def without(trial: dict[str, Any], *path: str | int) -> dict[str, Any]:
    found = copy.deepcopy(trial)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        template(TRAINJOB, "node"),
        space(min="1", max="1"),
        space(min=".5", max="+1."),
        space("int", min="-2", max="8", step="2", distribution="uniform"),
        logarithmic("tpe", min="1e-4", max="1", step="0.5"),
        {"parameters": [{"name": "c", "parameterType": "categorical", "feasibleSpace": {"list": ["a"]}}]},
        {"metricsCollectorSpec": {"collector": {"kind": "Push"}}},
        {"resumePolicy": "LongRunning"},
    ],
)
def test_experiment_that_can_go_on_is_accepted(kube: Kube, project: str, change: dict[str, Any]) -> None:
    create(kube, project, **{**SPEC, **change})


@pytest.mark.parametrize("labels", [{}, {"team": "a"}, {LABEL: "another"}])
def test_experiment_without_the_label_of_its_project_is_refused(
    kube: Kube, project: str, labels: dict[str, str]
) -> None:
    """The companion sets it; with another one Katib would mix its trials with those of another project."""
    with pytest.raises(KubeError) as caught:
        create_labelled(kube, project, labels, **SPEC)
    assert "trials-of is set by the platform" in str(caught.value.why)


def test_experiment_whose_name_is_no_name_of_a_service_is_refused(kube: Kube, project: str) -> None:
    meta = {"name": "a.b", "namespace": project, "labels": {LABEL: project}}
    with pytest.raises(KubeError) as caught:
        kube.create(
            {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": meta, "spec": {**SPEC}}
        )
    assert "metadata.name: begin with a letter" in str(caught.value.why)


def test_experiment_from_before_the_policy_can_be_deleted(kube: Kube, project: str) -> None:
    """The controller removes its finalizer by an update."""
    name = f"old-{secrets.token_hex(3)}"
    meta = {
        "name": name,
        "namespace": project,
        "labels": {LABEL: project},
        "finalizers": ["example.com/finalizer"],
    }
    old = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": meta, "spec": {**SPEC}}
    kube.create(old)
    kube.delete("kubeflow.org/v1beta1", "Experiment", name, project)
    change = {"metadata": {"finalizers": None}, "spec": {"algorithm": None}}
    kube.patch("kubeflow.org/v1beta1", "Experiment", name, project, body=change)
    assert kube.get("kubeflow.org/v1beta1", "Experiment", name, project) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"algorithm": {}}, "spec.algorithm.algorithmName: missing"),
        ({"parameters": []}, "spec.parameters: missing"),
        (space(min="2", max="1"), "min is above max, or one is no number: x"),
        (space(min="2", max="10e-1"), "min is above max, or one is no number: x"),
        (space(min="1e", max="2"), "min is above max, or one is no number: x"),
        (space(min="low", max="2"), "min is above max, or one is no number: x"),
        (space(min="-inf", max="2"), "min is above max, or one is no number: x"),
        (space(min="1"), "min is above max, or one is no number: x"),
        (space("int", min="0.5", max="2"), "an int has whole numbers as min and max: x"),
        (space("int", min="1", max="1e3"), "an int has whole numbers as min and max: x"),
        (
            space("int", min="1", max="9", step="0.5"),
            "step is not a number above 0, or for an int not whole: x",
        ),
        (space(min="1", max="9", step="0"), "step is not a number above 0, or for an int not whole: x"),
        (space(min="1", max="9", step="-.5"), "step is not a number above 0, or for an int not whole: x"),
        (space(min="1", max="9", distribution="normal"), "distribution: use uniform or logUniform: x"),
        (logarithmic("random", min="0", max="1"), "logUniform needs a min above 0"),
        (logarithmic("cmaes", min="1", max="2"), "cmaes and sobol do not know logUniform"),
        (logarithmic("sobol", min="1", max="2"), "cmaes and sobol do not know logUniform"),
        ({"earlyStopping": {"algorithmName": "medianstop"}}, "spec.earlyStopping"),
        ({"resumePolicy": "FromVolume"}, "spec.resumePolicy"),
        *(
            (
                {"metricsCollectorSpec": {"collector": {"kind": kind}}},
                "spec.metricsCollectorSpec.collector.kind",
            )
            for kind in ("Custom", "None", "TensorFlowEvent")
        ),
        ({"trialTemplate": {"configMap": {"configMapName": "a"}}}, "a ConfigMap is not read"),
        ({"trialTemplate": {}}, "write a Job"),
        (template({**JOB, "apiVersion": "apps/v1", "kind": "Deployment"}), "write a Job"),
        (template({**JOB, "apiVersion": "example.com/v1"}), "write a Job"),
        (template({**TRAINJOB, "apiVersion": "batch/v1"}), "write a Job"),
        (template(JOB, "other"), "primaryContainerName"),
        (
            template(without(JOB, "spec", "template", "spec", "containers", 0, "command")),
            "primaryContainerName",
        ),
        (template(without(JOB, "spec", "template")), "primaryContainerName"),
        (template(without(JOB, "spec")), "primaryContainerName"),
        (template(without(TRAINJOB, "spec", "trainer", "command")), "trainer.command: missing"),
        (template(without(TRAINJOB, "spec")), "trainer.command: missing"),
    ],
)
def test_experiment_that_cannot_go_on_is_refused(
    kube: Kube, project: str, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(KubeError) as caught:
        create(kube, project, **{**SPEC, **change})
    assert reason in str(caught.value.why)
    assert "resulted in error" not in str(caught.value.why), "a reason of the policy, not of its expression"
