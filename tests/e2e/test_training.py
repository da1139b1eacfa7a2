"""TrainJobs through failures and restarts of their controllers, and their logs after their pods are gone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.forward import forward
from mlops_platform.adapters.wait import Pending

from tests.e2e.platform import Platform
from tests.e2e.training.jobs import JOBSET, READER, TRAINJOB, Jobs, Logs, refused, until

pytestmark = pytest.mark.e2e

ONE, TWO = "train-one", "train-two"
COUNT = "import time\nfor i in range(100): print('line', i, flush=True); time.sleep(0.1)"
SAVE = """\
import signal, threading
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
print("ready", flush=True)
stopped.wait()
print("saved", flush=True)
"""
TRAIN = """\
import os, time, mlflow, sklearn.linear_model
node = os.environ["JOB_COMPLETION_INDEX"]
while node != "0" and mlflow.get_experiment_by_name("training") is None:
    time.sleep(0.5)  # see docs/traps.md, two clients that make an experiment
mlflow.set_experiment("training")
with mlflow.start_run(run_name=f"node {node}"):
    mlflow.log_metric("node", float(node))
    if node == "0":
        model = sklearn.linear_model.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        mlflow.sklearn.log_model(model, name="model", registered_model_name="fit")
        version = mlflow.MlflowClient().search_model_versions("name='fit'")[0].version
        assert mlflow.sklearn.load_model(f"models:/fit/{version}").predict([[1.0]]).tolist() == [1]
        print("registered version", version)
"""


@pytest.fixture(scope="module")
def kube(platform: Platform) -> Kube:
    return Kube(platform.state / "kubeconfig")


@pytest.fixture(scope="module")
def jobs(platform: Platform, kube: Kube) -> Iterator[Jobs]:
    for name in (ONE, TWO):
        platform.ok("project", "add", name, "--quota", "cpu=4,memory=16Gi")
    yield Jobs(kube, ONE)
    for name in (ONE, TWO):
        if kube.get("v1", "Namespace", name):
            platform.ok("project", "remove", name, "--yes", "--force")


@pytest.fixture
def logs(kube: Kube) -> Iterator[Logs]:
    with forward(kube, *READER) as address:
        yield Logs(kube, str(address))


@pytest.fixture
def member(kube: Kube) -> Kube:
    """The account of training jobs, which has the rights of a member with `edit`."""
    return Kube(kube.kubeconfig, lambda: kube.token(ONE, "trainer"))


def started(jobs: Jobs, name: str) -> bool:
    """Start a job; False if the webhook does not answer yet."""
    try:
        jobs.start(name, "print('ok')")
    except KubeError as error:
        if error.status != 500:
            raise
        return False
    return True


def test_two_nodes_log_and_register_a_model_without_settings(jobs: Jobs, logs: Logs) -> None:
    jobs.start("fit", TRAIN, runtime="sklearn", nodes=2)
    assert jobs.wait("fit", "Complete") <= 60, "25 s on an idle machine"
    assert len(jobs.pods("fit")) == 2
    jobs.delete("fit")
    texts = logs.texts(ONE, "fit", pods=2)
    assert sum(b"registered version 1" in text for text in texts.values()) == 1


def test_failing_job_is_failed_at_once_and_never_runs_again(
    jobs: Jobs, logs: Logs, kube: Kube, member: Kube
) -> None:
    jobs.start("wrong", "print('because'); raise SystemExit(7)")
    assert jobs.wait("wrong", "Failed") <= 20, "5 s on an idle machine"
    for who in (member, kube):
        message = refused(partial(who.delete, *JOBSET, "wrong", ONE))
        assert f"kubectl --namespace {ONE} delete trainjob wrong" in message
    for propagation in ("Foreground", "Orphan"):
        refused(partial(member.delete, *JOBSET, "wrong", ONE, propagation=propagation))
    (pod,) = jobs.pods("wrong")
    jobs.restart("trainer", "trainer-controller-manager")
    jobs.restart("jobset", "jobset-controller")
    # Its end shows that both controllers are at work. Nodes learn of the new pod of a webhook a moment later.
    until("the webhook answers", lambda: started(jobs, "after") or Pending("refused"))
    jobs.wait("after", "Complete")
    assert [p["metadata"]["uid"] for p in jobs.pods("wrong")] == [pod["metadata"]["uid"]]
    assert set(jobs.conditions("wrong")) == {"Failed"}
    jobs.delete("wrong")
    assert kube.get(*JOBSET, "wrong", ONE) is None
    (text,) = logs.texts(ONE, "wrong").values()
    assert text == b"because\n"
    assert logs.of(ONE, "wrong")[0]["end"]["exitCode"] == 7


def test_stopped_job_ends_at_once_and_may_save_its_state(platform: Platform, jobs: Jobs, logs: Logs) -> None:
    jobs.start("plain", "import time; time.sleep(600)", nodes=2)
    jobs.start("saves", SAVE)
    jobs.wait_running("plain")
    until("it is ready", lambda: any(x["bytes"] for x in logs.of(ONE, "saves")) or Pending("not yet"))
    for name in ("plain", "saves"):
        assert platform.ok("job", "stop", name, "--project", ONE).seconds < 20, "the grace period is 30 s"
    (text,) = logs.texts(ONE, "saves").values()
    assert text == b"ready\nsaved\n"


def test_foreground_deletion_of_a_trainjob_is_not_blocked(jobs: Jobs, kube: Kube, member: Kube) -> None:
    jobs.start("ahead", "print('ok')")
    jobs.wait("ahead", "Complete")
    member.delete(*TRAINJOB, "ahead", ONE, propagation="Foreground")
    until("ahead is gone", lambda: not kube.get(*TRAINJOB, "ahead", ONE) or Pending("not yet"))
    assert kube.get(*JOBSET, "ahead", ONE) is None


def test_deadline_ends_a_job_for_good(jobs: Jobs, kube: Kube) -> None:
    """Trainer deletes the JobSet itself."""
    jobs.start("late", "import time; time.sleep(600)", activeDeadlineSeconds=3)
    jobs.wait("late", "Failed")
    until("its JobSet is gone", lambda: not kube.get(*JOBSET, "late", ONE) or Pending("not yet"))
    assert jobs.conditions("late")["Failed"]["reason"] == "DeadlineExceeded"
    jobs.delete("late")


def test_runtime_with_a_time_to_live_is_refused(kube: Kube, member: Kube) -> None:
    runtime = kube.get("trainer.kubeflow.org/v1alpha1", "ClusterTrainingRuntime", "python")
    assert runtime
    spec = runtime["spec"]
    spec["template"]["spec"]["ttlSecondsAfterFinished"] = 60
    own = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": "own", "namespace": ONE},
        "spec": spec,
    }
    assert "ttlSecondsAfterFinished" in refused(lambda: member.create(own), status=422)
    del spec["template"]["spec"]["ttlSecondsAfterFinished"]
    member.create(own)
    member.delete("trainer.kubeflow.org/v1alpha1", "TrainingRuntime", "own", ONE)


def test_suspended_job_continues_when_it_is_resumed(jobs: Jobs, kube: Kube) -> None:
    jobs.start("later", "print('ok')", suspend=True)
    jobs.wait("later", "Suspended")
    assert jobs.pods("later") == []
    kube.patch(*TRAINJOB, "later", ONE, body={"spec": {"suspend": False}})
    jobs.wait("later", "Complete")
    jobs.delete("later")


@pytest.mark.parametrize(
    ("namespace", "deployment"), [("trainer", "trainer-controller-manager"), ("jobset", "jobset-controller")]
)
def test_killed_controller_changes_no_result(jobs: Jobs, logs: Logs, namespace: str, deployment: str) -> None:
    jobs.start(namespace, "import time; time.sleep(3); print('ok')", nodes=2)
    jobs.wait_running(namespace)
    jobs.restart(namespace, deployment)
    jobs.wait(namespace, "Complete")
    jobs.delete(namespace)
    assert set(logs.texts(ONE, namespace, pods=2).values()) == {b"ok\n"}


def test_killed_collector_loses_and_repeats_no_line(jobs: Jobs, logs: Logs) -> None:
    jobs.start("count", COUNT)
    jobs.wait_running("count")
    until(
        "lines are stored while it runs",
        lambda: any(x["bytes"] for x in logs.of(ONE, "count")) or Pending("not yet"),
    )
    assert logs.of(ONE, "count")[0]["end"] is None
    jobs.restart("job-logs", "job-logs-collector")
    jobs.wait("count", "Complete")
    (text,) = logs.texts(ONE, "count").values()
    assert text == b"".join(b"line %d\n" % i for i in range(100))
    jobs.delete("count")
    (tail,) = logs.texts(ONE, "count", query="?tail=2").values()
    assert tail.splitlines() == [b"line 98", b"line 99"]


def test_log_of_fifty_megabytes_keeps_its_beginning_and_its_end(jobs: Jobs, logs: Logs) -> None:
    """How much is between them depends on the kubelet, which rotates files of 10 MiB away."""
    jobs.start("much", "for i in range(500_000): print(i, 'x' * 93)")
    jobs.wait("much", "Complete")
    (text,) = logs.texts(ONE, "much").values()
    jobs.delete("much")
    assert logs.of(ONE, "much")[0]["end"]["complete"] is True
    assert len(text) <= 22 << 20
    lines = text.splitlines()
    assert lines[0].startswith(b"0 x")
    assert lines[-1].startswith(b"499999 x")
    assert sum(line.startswith(b"[") for line in lines) <= 1


def test_logs_are_for_members_of_the_project_only(jobs: Jobs, logs: Logs) -> None:
    jobs.start("own", "print('secret of one')")
    jobs.wait("own", "Complete")
    assert logs.texts(ONE, "own")
    for path in (f"{ONE}/jobs", f"{ONE}/jobs/own", f"{TWO}/jobs/..%2f..%2f{ONE}"):
        status, body = logs.get(path, account=(TWO, "trainer"))
        assert status in (400, 403, 404), path
        assert b"secret" not in body
    assert logs.get(f"{ONE}/jobs", account=(ONE, "default"))[0] == 403
    assert logs.get(f"{ONE}/jobs", account=(ONE, "server"), audience="mlflow")[0] == 401
    assert logs.get("default/jobs", account=(ONE, "server"))[0] == 403


def test_removed_project_leaves_no_jobset_and_no_log(platform: Platform, jobs: Jobs, logs: Logs) -> None:
    """Jobs that run, failed and are complete are in the project."""
    there = Jobs(jobs.kube, TWO)
    there.start("runs", "import time; time.sleep(600)")
    there.start("failed", "raise SystemExit(1)")
    there.wait("failed", "Failed")
    there.wait_running("runs")
    assert platform.run("project", "remove", TWO, "--yes").code == 2
    platform.ok("project", "remove", TWO, "--yes", "--force", seconds=120)
    platform.ok("project", "add", TWO)
    status, body = logs.get(f"{TWO}/jobs", account=(TWO, "server"))
    assert (status, body) == (200, b'{"jobs": []}')
