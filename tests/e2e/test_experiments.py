"""Experiments of a project: screens, a stopped Katib, a full quota, a rotation, and removal in the middle."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.wait import Pending
from mlops_platform.smoke.canary import PROBE_IMAGE

from tests.e2e.platform import Platform, running
from tests.e2e.training.jobs import refused, until

# Katib is in no shipped environment: its build takes 300 CPU-seconds, so these tests are part of `make soak`.
pytestmark = [pytest.mark.e2e, pytest.mark.soak]

COMPONENTS = ("vault", "postgres", "minio", "mlflow", "jobset", "trainer", "katib")
PROJECT = "search"
EXPERIMENT, TRIAL = ("kubeflow.org/v1beta1", "Experiment"), ("kubeflow.org/v1beta1", "Trial")
CONTROLLER = ("apps/v1", "Deployment", "katib-controller", "katib")
LOSS = "import sys, time; time.sleep({seconds}); print(f'loss={{(float(sys.argv[1]) - 3) ** 2}}')"
# As OptimizerClient of the package `kubeflow` writes the function of a trial.
FUNCTION = """
read -r -d '' SCRIPT << EOM

def train(rate):
    print(f"loss={(float(rate) - 0.01) ** 2}")

train(**{'rate': '${trialParameters.rate}'})

EOM
printf "%s" "$SCRIPT" > "/tmp/train.py"
python3 "/tmp/train.py"
"""


@pytest.fixture(scope="module")
def katib(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running("experiments", tmp_path_factory.mktemp("experiments"), components=COMPONENTS) as made:
        yield made


@pytest.fixture(scope="module")
def kube(katib: Platform) -> Kube:
    return Kube(katib.state / "kubeconfig")


@pytest.fixture(scope="module")
def project(katib: Platform) -> str:
    katib.ok("project", "add", PROJECT, "--quota", "cpu=2,memory=4Gi")
    return PROJECT


def pod(kube: Kube, *command: str, cpu: str = "20m", **labels: str) -> dict[str, Any]:
    """The template of a pod with the image of the smoke tests."""
    (node,) = kube.list("v1", "Node")
    names: list[str] = [name for image in node["status"]["images"] for name in image["names"]]
    container = {
        "name": "main",
        "image": next(name for name in names if f"/{PROBE_IMAGE}:" in name),
        "command": list(command),
        "resources": {"requests": {"cpu": cpu, "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
    return {"metadata": {"labels": labels}, "spec": spec}


def as_jobs(template: dict[str, Any]) -> dict[str, Any]:
    """A template of trials that are Jobs of the parameter x."""
    return {
        "primaryContainerName": "main",
        "trialParameters": [{"name": "x", "reference": "x"}],
        "trialSpec": {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "spec": {"backoffLimit": 0, "template": template},
        },
    }


def start(kube: Kube, name: str, trials: int, template: dict[str, Any], **more: Any) -> None:
    """Create an Experiment with two trials at once."""
    spec = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": trials,
        "parallelTrialCount": 2,
        "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "-8", "max": "8"}}],
        "trialTemplate": template,
        **more,
    }
    meta = {"name": name, "namespace": PROJECT}
    manifest = {"apiVersion": EXPERIMENT[0], "kind": EXPERIMENT[1], "metadata": meta, "spec": spec}

    def made() -> bool | Pending:
        try:
            return bool(kube.create(manifest))
        except KubeError as error:
            if error.status != 500:  # of a webhook whose pod has just started
                raise
            return Pending(str(error.why))

    until(f"experiment {name}", made)


def start_jobs(kube: Kube, name: str, trials: int, seconds: int = 0, cpu: str = "20m") -> None:
    command = ("python3", "-c", LOSS.format(seconds=seconds), "${trialParameters.x}")
    start(kube, name, trials, as_jobs(pod(kube, *command, cpu=cpu)))


def row(katib: Platform, name: str) -> dict[str, Any]:
    """The experiment as `experiment list` has it."""
    found = katib.ok("experiment", "list", "--project", PROJECT, "--output", "json").envelope["data"]
    (each,) = [each for each in found["experiments"] if each["name"] == name]
    return dict(each)


def wait(katib: Platform, name: str, state: str = "succeeded") -> float:
    """Wait for a state, and return the seconds."""

    def there() -> bool | Pending:
        found = row(katib, name)
        assert found["state"] != "failed" or state == "failed", found
        return found["state"] == state or Pending(str(found))

    return until(f"experiment {name}: {state}", there)


def delete(kube: Kube, name: str) -> None:
    kube.delete(*EXPERIMENT, name, PROJECT)
    until(
        f"trials of {name} are gone",
        lambda: not kube.list(*TRIAL, PROJECT, labels=f"katib.kubeflow.org/experiment={name}") or Pending(""),
    )


def scale(kube: Kube, replicas: int) -> None:
    kube.patch(*CONTROLLER, body={"spec": {"replicas": replicas}})

    def done() -> bool | Pending:
        ready = (kube.get(*CONTROLLER) or {})["status"].get("readyReplicas", 0)
        pods = [o for o in kube.list("v1", "Pod", "katib") if "controller" in o["metadata"]["name"]]
        return (ready, len(pods)) == (replicas, replicas) or Pending(f"{ready} of {len(pods)} ready")

    until("the controller", done)


def phase(kube: Kube, name: str) -> str:
    return str((kube.get("v1", "Pod", name, PROJECT) or {})["status"].get("phase"))


def test_second_up_is_a_no_op(katib: Platform) -> None:
    assert "nothing to do" in katib.ok("up", "--yes").out


def test_six_trials_two_at_once_are_on_the_screen(katib: Platform, kube: Kube, project: str) -> None:
    start_jobs(kube, "six", 6)
    assert wait(katib, "six") <= 90
    found = row(katib, "six")
    assert (found["ended"], found["failed"], found["wanted"], found["reason"]) == (6, 0, 6, "")
    shown = katib.ok("experiment", "show", "six", "--project", project).out
    assert f"by {found['best']}" in shown and "6 trials" in shown, shown
    details = katib.ok("experiment", "show", "six", "--project", project, "--output", "json").envelope["data"]
    losses = {each["name"]: (float(each["parameters"]["x"]) - 3) ** 2 for each in details["trials"]}
    assert len(losses) == 6
    assert found["value"] == pytest.approx(min(losses.values())) == losses[found["best"]]
    delete(kube, "six")


def test_function_of_the_optimizer_client_runs_in_a_trainjob(
    katib: Platform, kube: Kube, project: str
) -> None:
    trainer = {"command": ["bash", "-c", FUNCTION]}
    runtime = {"kind": "ClusterTrainingRuntime", "name": "python"}
    template = {
        "retain": True,
        "primaryContainerName": "node",
        "trialParameters": [{"name": "rate", "reference": "rate"}],
        "trialSpec": {
            "apiVersion": "trainer.kubeflow.org/v1alpha1",
            "kind": "TrainJob",
            "spec": {"runtimeRef": runtime, "trainer": trainer},
        },
    }
    space = {"min": "0.0001", "max": "0.1", "distribution": "logUniform"}
    parameters = [{"name": "rate", "parameterType": "double", "feasibleSpace": space}]
    start(kube, "function", 2, template, parameters=parameters)
    wait(katib, "function")
    assert row(katib, "function")["value"] is not None
    delete(kube, "function")


def test_experiment_over_the_quota_says_so_within_half_a_minute(
    katib: Platform, kube: Kube, project: str
) -> None:
    start_jobs(kube, "greedy", 2, cpu="3")

    def reason() -> bool | Pending:
        text = row(katib, "greedy")["reason"]
        return text.startswith("not enough quota: requests.cpu: 3010m more") or Pending(text)

    assert until("a reason", reason) <= 30
    delete(kube, "greedy")


def test_other_pods_start_while_katib_is_stopped(kube: Kube, project: str) -> None:
    scale(kube, 0)
    try:
        command = ("python3", "-c", "print(1)")
        meta = {"name": "free", "namespace": project}
        kube.create({"apiVersion": "v1", "kind": "Pod", **pod(kube, *command), "metadata": meta})
        until("the pod", lambda: phase(kube, "free") == "Succeeded" or Pending(phase(kube, "free")))
        kube.delete("v1", "Pod", "free", project)
        marked = pod(kube, *command, **{"mlops-platform/trial": "true"})
        marked["metadata"] |= {"name": "trial", "namespace": project}
        assert "mutator.pod.katib" in refused(
            lambda: kube.create({"apiVersion": "v1", "kind": "Pod", **marked}), status=500
        )
    finally:
        scale(kube, 1)


def test_rotated_password_needs_no_restart(katib: Platform, kube: Kube, project: str) -> None:
    def pods() -> set[str]:
        return {o["metadata"]["name"] for o in kube.list("v1", "Pod", "katib")}

    before = pods()
    start_jobs(kube, "rotated", 4, seconds=5)
    katib.ok("secrets", "rotate", "katib")
    wait(katib, "rotated")
    assert pods() == before
    delete(kube, "rotated")


def test_long_smoke_tests_pass(katib: Platform) -> None:
    katib.ok("smoke", "katib", "experiment", "experiment-training")


def test_project_is_removed_while_an_experiment_runs(katib: Platform, kube: Kube, project: str) -> None:
    start_jobs(kube, "running", 20, seconds=5)
    until("a trial", lambda: bool(kube.list(*TRIAL, project)) or Pending(""))
    assert "running workloads" in katib.run("project", "remove", project, "--yes").err
    started = time.monotonic()
    katib.ok("project", "remove", project, "--yes", "--force")
    assert time.monotonic() - started < 60
    assert kube.get("v1", "Namespace", project) is None
    assert not kube.list(*EXPERIMENT) and not kube.list(*TRIAL)


def test_down_works_while_an_experiment_runs_and_katib_is_stopped(katib: Platform, kube: Kube) -> None:
    """The last test: `down` of the fixture finds nothing to do after it."""
    katib.ok("project", "add", PROJECT)
    start_jobs(kube, "left", 20, seconds=5)
    until("a trial", lambda: bool(kube.list(*TRIAL, PROJECT)) or Pending(""))
    scale(kube, 0)
    katib.ok("down", "--yes")
