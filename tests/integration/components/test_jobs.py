"""Scripts in Jobs on a real node: logs, exit, secrets, cleanup."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlops_platform.adapters.kube import Kube, KubeError
from mlops_platform.adapters.kube.namespaces import ensure_namespace
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted
from mlops_platform.base.progress import Silent
from mlops_platform.run.secrets import KubernetesSecrets
from mlops_platform.smoke.evidence import collect
from mlops_platform.steps.jobs.manifest import ScriptJob, pod_spec
from mlops_platform.steps.jobs.run import JobFailed, run_job, start_job, wait_for_end

from tests.integration.node import Node

pytestmark = pytest.mark.integration

Script = Callable[..., ScriptJob]


@pytest.fixture
def place(node: Node) -> str:
    """A namespace with pod security `restricted`, like those of components."""
    name = f"jobs-{secrets.token_hex(4)}"
    ensure_namespace(node.kube, name, "test")
    return name


@pytest.fixture
def script(node: Node, place: str) -> Script:
    def make(text: str, **more: object) -> ScriptJob:
        return ScriptJob("job", place, node.image, {"main.py": text}, **more)  # type: ignore[arg-type]

    return make


def left(kube: Kube, namespace: str) -> list[str]:
    found = [kube.get("batch/v1", "Job", "job", namespace), kube.get("v1", "ConfigMap", "job", namespace)]
    return [each["kind"] for each in found if each]


def _says(kube: Kube, namespace: str, word: str) -> bool | Pending:
    """A pod of the namespace has logged the word."""
    running = [
        pod["metadata"]["name"]
        for pod in kube.list("v1", "Pod", namespace)
        if pod["status"].get("phase") == "Running"
    ]
    return any(word in kube.logs(namespace, pod) for pod in running) or Pending("nothing said")


def _refused(kube: Kube, work: ScriptJob) -> bool | Pending:
    """Pods are rejected now: a quota applies only after its controller has counted."""
    meta = {"name": "tried", "namespace": work.namespace}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec(work)}
    try:
        kube.create(pod, dry_run=True)
    except KubeError as error:
        return "exceeded quota" in error.why or Pending(error.why)
    return Pending("it would be made")


def go(node: Node, work: ScriptJob, *, keep: bool = False, cancel: Cancel | None = None) -> str:
    return run_job(node.kube, work, Silent(), cancel or Cancel(), keep=keep)


def test_script_returns_its_log_and_leaves_nothing(node: Node, place: str, script: Script) -> None:
    text = "import sys, helper\nprint(helper.WORD, *sys.argv[1:])"
    work = ScriptJob(
        "job", place, node.image, {"main.py": text, "helper.py": "WORD = 'said'"}, ("probe", "write")
    )
    assert go(node, work) == "said probe write\n"
    assert left(node.kube, place) == []


def test_log_is_not_from_an_earlier_job_of_the_same_name(node: Node, place: str, script: Script) -> None:
    """The earlier Job is deleted, but its pod still exists."""
    spec = pod_spec(script(""))
    spec["containers"][0] |= {"command": ["python3", "-c", "print('old')"], "volumeMounts": []}
    labels = {"batch.kubernetes.io/job-name": "job"}
    meta = {"name": "earlier", "namespace": place, "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {**spec, "volumes": []}}
    node.kube.create(pod)

    def ended() -> bool | Pending:
        found = node.kube.get("v1", "Pod", "earlier", place)
        return bool(found and found["status"].get("phase") == "Succeeded") or Pending("not yet")

    wait_until("the earlier pod", ended, seconds=60)
    assert go(node, script("print('new')")) == "new\n"


def test_secrets_are_only_in_files(node: Node, place: str, script: Script) -> None:
    KubernetesSecrets(node.kube).write(place, "app-admin", {"password": "hidden-word"})
    text = """
import os, pathlib, sys
assert pathlib.Path("/run/secrets/admin/password").read_text() == "hidden-word"
assert "hidden-word" not in str(os.environ) + str(sys.argv)
assert not pathlib.Path("/run/secrets/kubernetes.io").exists()
pathlib.Path("/tmp/writable").touch()
try:
    pathlib.Path("/scripts/../etc/new").touch()
except OSError as error:
    print(os.getuid(), error.strerror)
"""
    assert go(node, script(text, secrets={"app-admin": "admin"})) == "10001 Read-only file system\n"


def test_failure_has_exit_code_and_end_of_the_log(node: Node, place: str, script: Script) -> None:
    text = "for i in range(100): print('line', i)\nraise SystemExit(7)"
    with pytest.raises(JobFailed) as caught:
        go(node, script(text))
    assert "exit 7" in caught.value.what
    assert caught.value.why.endswith("line 99") and "line 0\n" not in caught.value.why
    assert caught.value.log.startswith("line 0\n")
    assert left(node.kube, place) == []


def test_out_of_memory_is_reported(node: Node, script: Script) -> None:
    with pytest.raises(JobFailed, match="OOMKilled") as caught:
        go(node, script("x = bytearray(200 * 2**20)", memory="32Mi"))
    assert "memory" in caught.value.hint


def test_script_is_stopped_at_its_deadline(node: Node, place: str, script: Script) -> None:
    text = "import threading; print('waiting', flush=True); threading.Event().wait()"
    work = script(text, seconds=600)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(go, node, work)
        wait_until("its first words", lambda: _says(node.kube, place, "waiting"), seconds=120)
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job", "namespace": place}}
        node.kube.apply({**job, "spec": {"activeDeadlineSeconds": 1}})
        with pytest.raises(JobFailed, match="still running after 600 s") as caught:
            ended.result(timeout=120)
    assert caught.value.why == "waiting"
    assert left(node.kube, place) == []


def test_rejected_pod_fails_at_once(node: Node, place: str, script: Script) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": place}}
    node.kube.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    wait_until("the quota", lambda: _refused(node.kube, script("print('tried')")), seconds=60)
    with pytest.raises(JobFailed) as caught:
        go(node, script("print('never')"))
    assert "exceeded quota" in caught.value.why


def test_kept_job_is_a_record_and_is_replaced_if_changed(node: Node, place: str, script: Script) -> None:
    first, second = script("print(1)"), script("print(2)")
    assert go(node, first, keep=True) == "1\n"
    assert left(node.kube, place) == ["Job", "ConfigMap"]
    assert go(node, second, keep=True) == "2\n"
    job = node.kube.get("batch/v1", "Job", "job", place)
    assert job and job["metadata"]["annotations"]["mlops-platform/digest"] == second.digest
    assert first.digest != second.digest


def test_failed_job_is_no_record(node: Node, place: str, script: Script) -> None:
    with pytest.raises(JobFailed):
        go(node, script("raise SystemExit(1)"), keep=True)
    assert left(node.kube, place) == []


def test_interrupted_job_is_deleted(node: Node, place: str, script: Script) -> None:
    cancel = Cancel()

    class Interrupting(Silent):
        def say(self, text: str) -> None:
            if text == "running":
                threading.Thread(target=cancel.request).start()

    with pytest.raises(Interrupted):
        run_job(
            node.kube,
            script("import threading; threading.Event().wait()"),
            Interrupting(),
            cancel,
        )
    assert left(node.kube, place) == []


def test_evidence_has_logs_and_events_without_secrets(
    node: Node, place: str, script: Script, tmp_path: Path
) -> None:
    KubernetesSecrets(node.kube).write(place, "app-admin", {"password": "hidden-word"})
    go(node, script("print('said by the job')", secrets={"app-admin": "admin"}), keep=True)
    collect(node.kube, place, tmp_path / "evidence", {"probe": "said by the probes\n"})
    files = {file.name: file.read_text() for file in (tmp_path / "evidence").iterdir()}
    assert files["probes-probe.log"] == "said by the probes\n"
    assert "SuccessfulCreate" in files["events.txt"]
    assert "kind: Job" in files["objects.yaml"] and "app-admin" in files["objects.yaml"]
    assert "said by the job\n" in files.values()
    assert not [name for name, text in files.items() if "hidden-word" in text or "aGlkZGVuLXdvcmQ" in text]


def test_started_job_goes_on_alone_and_its_files_end_with_it(node: Node, place: str, script: Script) -> None:
    kube = node.kube
    work = script(
        "print('step a: running'); print(open('/files/a.txt').read())", files={"a.txt": "from a file"}
    )
    created = start_job(kube, work, kept_seconds=600)
    with pytest.raises(KubeError) as taken:
        start_job(kube, work, kept_seconds=600)
    assert taken.value.status == 409
    seen: list[str] = []
    assert wait_for_end(kube, work, created, seen.append, Cancel(), follow=10).endswith("from a file\n")
    assert left(kube, place) == ["Job", "ConfigMap"], "a finished Job stays, with its log"
    kube.delete("batch/v1", "Job", "job", place)
    wait_until("end of the ConfigMap", lambda: not left(kube, place) or Pending("left"), seconds=60)


def test_job_whose_files_cannot_be_stored_is_not_left(node: Node, place: str, script: Script) -> None:
    """Its pod would wait for the ConfigMap until its time limit."""
    with pytest.raises(KubeError):
        start_job(node.kube, script("print(1)", files={"large": "x" * 1_100_000}), kept_seconds=600)
    wait_until("end of the Job", lambda: not left(node.kube, place) or Pending("left"), seconds=60)
