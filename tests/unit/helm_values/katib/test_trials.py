"""The mark of trials in an Experiment, and their commands as Katib and a shell run them."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.unit.helm_values.pods import modules


@pytest.fixture(scope="module")
def loaded() -> Iterator[dict[str, Any]]:
    with modules(ROOT / "helm-values/katib", ("calls", "trials", "recorder", "companion")) as found:
        yield dict(found)


def job(*command: str, args: list[str] | None = None, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "command": list(command), **({"args": args} if args else {})}
    pod = {"spec": {"containers": [container, {"name": "side", "command": ["sleep", "1"]}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": pod, **more}}


def trainjob(*command: str, **more: Any) -> dict[str, Any]:
    spec = {"runtimeRef": {"name": "python"}, "trainer": {"numNodes": 1, "command": list(command)}, **more}
    return {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "spec": spec}


def experiment(spec: dict[str, Any], collector: str = "", **template: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "spec": {"trialTemplate": {"primaryContainerName": "main", "trialSpec": spec, **template}}
    }
    if collector:
        found["spec"]["metricsCollectorSpec"] = {"collector": {"kind": collector}}
    return found


def patched(loaded: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """The Experiment after its patch, and after a second one that must be empty."""
    result = copy.deepcopy(found)
    for each in loaded["trials"].patch_of(found):
        *parents, last = each["path"].split("/")[1:]
        place = result
        for key in parents:
            place = place[key]
        assert each["op"] == "add" or last in place
        place[last] = each["value"]
    assert loaded["trials"].patch_of(result) == []
    return result


def container_of(found: dict[str, Any]) -> dict[str, Any]:
    spec = found["spec"]["trialTemplate"]["trialSpec"]["spec"]
    container: dict[str, Any] = (
        spec["trainer"] if "trainer" in spec else spec["template"]["spec"]["containers"][0]
    )
    return container


def test_pods_of_a_job_are_marked_and_kept(loaded: dict[str, Any]) -> None:
    found = patched(loaded, experiment(job("python3", "train.py")))["spec"]["trialTemplate"]
    pod = found["trialSpec"]["spec"]["template"]
    assert pod["metadata"]["labels"] == {"mlops-platform/trial": "true"}
    assert pod["spec"]["containers"][1] == {"name": "side", "command": ["sleep", "1"]}
    assert found["retain"] is True


@pytest.mark.parametrize("labels", [None, {"team": "a"}, {"team": "a", "mlops-platform/trials-of": "fraud"}])
def test_experiment_has_the_label_of_its_project(
    loaded: dict[str, Any], labels: dict[str, str] | None
) -> None:
    """Katib looks for the Trials of an Experiment by its labels, in all namespaces."""
    found = experiment(job("true"))
    found["metadata"] = {"namespace": "churn", **({"labels": labels} if labels else {})}
    expected = {**(labels or {}), "mlops-platform/trials-of": "churn"}
    assert patched(loaded, found)["metadata"]["labels"] == expected


def test_own_labels_and_the_choice_to_delete_pods_stay(loaded: dict[str, Any]) -> None:
    own = job("true")
    own["spec"]["template"]["metadata"] = {"labels": {"team": "a"}}
    found = patched(loaded, experiment(own, retain=False))["spec"]["trialTemplate"]
    labels = found["trialSpec"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"team": "a", "mlops-platform/trial": "true"}
    assert found["retain"] is False


def test_pods_of_a_trainjob_are_marked_by_a_patch_of_its_runtime(loaded: dict[str, Any]) -> None:
    queue = {"manager": "kueue.x-k8s.io/manager"}
    found = patched(loaded, experiment(trainjob("true", runtimePatches=[queue])))
    first, ours = found["spec"]["trialTemplate"]["trialSpec"]["spec"]["runtimePatches"]
    assert first == queue
    (node,) = ours["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    assert node["name"] == "node"
    assert node["template"]["spec"]["template"]["metadata"]["labels"] == {"mlops-platform/trial": "true"}


def test_trial_runs_again_if_only_its_collector_failed(loaded: dict[str, Any]) -> None:
    own = job("true")
    own["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    spec = patched(loaded, experiment(own))["spec"]["trialTemplate"]["trialSpec"]["spec"]
    first, second = spec["podFailurePolicy"]["rules"]
    assert (first["action"], first["onExitCodes"]["containerName"]) == ("Count", "main")
    assert (second["action"], "containerName" in second["onExitCodes"]) == ("Ignore", False)


@pytest.mark.parametrize(
    ("restarts", "collector", "more"),
    [
        ("OnFailure", "", {}),  # the API server refuses a policy for pods that restart
        ("Never", "Push", {}),
        ("Never", "", {"podFailurePolicy": {"rules": []}}),
    ],
)
def test_own_policy_of_failed_pods_stays(
    loaded: dict[str, Any], restarts: str, collector: str, more: dict[str, Any]
) -> None:
    own = job("true", **more)
    own["spec"]["template"]["spec"]["restartPolicy"] = restarts
    spec = patched(loaded, experiment(own, collector))["spec"]["trialTemplate"]["trialSpec"]["spec"]
    assert spec.get("podFailurePolicy") == more.get("podFailurePolicy")


@pytest.mark.parametrize("collector", ["Push", "None"])
def test_command_stays_without_a_collector(loaded: dict[str, Any], collector: str) -> None:
    for spec in (job("python3", "train.py"), trainjob("python3", "train.py")):
        assert container_of(patched(loaded, experiment(spec, collector)))["command"] == [
            "python3",
            "train.py",
        ]


@pytest.mark.parametrize(
    "spec", [{}, {"kind": "CronJob", "spec": {}}, {"kind": "Job"}, {"kind": "Job", "spec": 1}]
)
def test_other_templates_are_left_to_the_policy(loaded: dict[str, Any], spec: dict[str, Any]) -> None:
    assert loaded["trials"].patch_of(experiment(spec)) == []
    assert loaded["trials"].patch_of({"spec": {}}) == []


PRINTS = ["python3", "-c", "import sys\nprint(*sys.argv[1:], sep='|')"]


def run_as_katib(loaded: dict[str, Any], container: dict[str, Any], folder: Path) -> tuple[int, str, bool]:
    """Exit code, output, and whether the trial is marked as completed.

    Katib joins the words with blanks (pkg/webhook/v1beta1/pod/utils.go, wrapWorkerContainer).
    The waits are cut short, because there is no collector.
    """
    words = [*container["command"], *container.get("args", [])]
    assert words[:2] in (["sh", "-c"], ["bash", "-c"]), words
    out = folder / "metrics.log"
    text = " ".join([*words[2:], f"1>{out} 2>&1", "&&", f"echo completed > {folder}/$$.pid"])
    text = text.replace("sleep 0.5", "true")
    done = subprocess.run([*words[:2], text], check=False)
    return done.returncode, out.read_text(), any(folder.glob("*.pid"))


@pytest.mark.parametrize(
    ("command", "args", "code", "output"),
    [
        ([*PRINTS, "0.5", "two words", "it's", "$HOME", "a;b"], None, 0, "0.5|two words|it's|$HOME|a;b\n"),
        (PRINTS[:1], [*PRINTS[1:], "0.5"], 0, "0.5\n"),
        (["sh", "-c", "echo one; echo two # why"], None, 0, "one\ntwo\n"),
        (["bash", "-c", "cd / && pwd"], None, 0, "/\n"),
        (["sh", "-c", "echo one; exit 3"], None, 3, "one\n"),
        # Such as of TrainerClient and OptimizerClient: the code is in a here-document.
        (
            ["bash", "-c", "read -r -d '' CODE << EOM\n\nprint('one')\nEOM\npython3 -c \"$CODE\""],
            None,
            0,
            "one\n",
        ),
        (["python3", "-c", "print('one'); raise SystemExit(4)"], None, 4, "one\n"),
    ],
)
@pytest.mark.parametrize("kind", ["job", "trainjob"])
def test_command_runs_as_written(
    loaded: dict[str, Any],
    tmp_path: Path,
    kind: str,
    command: list[str],
    args: list[str] | None,
    code: int,
    output: str,
) -> None:
    """With quotes and blanks, its exit code, and all of its output in the file that the collector reads."""
    spec = job(*command, args=args) if kind == "job" else trainjob(*command, *(args or ()))
    container = container_of(patched(loaded, experiment(spec)))
    assert run_as_katib(loaded, container, tmp_path) == (code, output, code == 0)


def test_shell_with_arguments_of_its_own_stays(loaded: dict[str, Any]) -> None:
    spec = job("sh", "-c", 'echo "$@"', "sh", "one")
    assert (
        container_of(patched(loaded, experiment(spec)))["command"]
        == spec["spec"]["template"]["spec"]["containers"][0]["command"]
    )


def test_review_answers_with_the_patch(loaded: dict[str, Any]) -> None:
    request = {"request": {"uid": "1", "object": experiment(job("true"))}}
    found = json.loads(loaded["companion"].review(json.dumps(request).encode()))["response"]
    assert (found["uid"], found["allowed"], found["patchType"]) == ("1", True, "JSONPatch")
    assert json.loads(base64.b64decode(found["patch"]))[0]["path"] == "/spec/trialTemplate/trialSpec"


def test_update_changes_the_label_only(loaded: dict[str, Any]) -> None:
    """Katib refuses an update that changes a template: an old Experiment could never be deleted."""
    found = {**experiment(job("true")), "metadata": {"namespace": "churn"}}
    request = {"request": {"uid": "1", "operation": "UPDATE", "object": found}}
    answer = json.loads(loaded["companion"].review(json.dumps(request).encode()))["response"]
    paths = [each["path"] for each in json.loads(base64.b64decode(answer["patch"]))]
    assert paths == ["/metadata/labels"]


def test_review_of_nothing_is_allowed_without_a_patch(loaded: dict[str, Any]) -> None:
    """The installer asks so, to see that the webhook answers."""
    found = json.loads(loaded["companion"].review(b'{"request": {"uid": "1"}}'))["response"]
    assert found == {"uid": "1", "allowed": True}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"request": {}}', b'{"request": {"uid": "1", "object": 5}}']
)
def test_other_bodies_are_errors(loaded: dict[str, Any], body: bytes) -> None:
    with pytest.raises(ValueError, match=r"AdmissionReview|Expecting"):
        loaded["companion"].review(body)
