"""Secrets through the command line: rotation under load, kills, no value in any file or log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from mlops_platform.adapters.kube import Kube
from mlops_platform.adapters.vault import VaultError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError

from tests.e2e import secret_search
from tests.e2e.platform import ALL, Platform
from tests.e2e.test_local import kill, processes

pytestmark = pytest.mark.e2e


@dataclass
class Writer:
    """A client that logs metrics, with the result of each write."""

    written: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def writing(platform: Platform) -> Iterator[Writer]:
    """Write until the block ends, then check that every acknowledged write exists."""
    import mlflow

    writer, stop = Writer(), threading.Event()
    with platform.opened("mlflow") as url:
        client = mlflow.MlflowClient(tracking_uri=url)
        run = client.create_run(client.create_experiment("rotated")).info.run_id

        def write() -> None:
            while not stop.is_set():
                try:
                    client.log_metric(run, "step", writer.written, step=writer.written)
                except Exception as error:  # noqa: BLE001 - each is a lost write
                    writer.failed.append(str(error))
                else:
                    writer.written += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield writer
        finally:
            stop.set()
            thread.join()
        stored = {metric.step for metric in client.get_metric_history(run, "step")}
    assert stored == set(range(writer.written))


@pytest.fixture(scope="module")
def rotated(platform: Platform, machine: None) -> tuple[Writer, secret_search.Values]:
    """Rotate the secrets of MLflow and of the components that it requires, while a client writes."""
    before = secret_search.secret_values(platform)
    with writing(platform) as writer:
        for component in ("mlflow", "postgres", "minio", "vault"):
            platform.ok("secrets", "rotate", component)
            secret_search.assert_absent(
                before | secret_search.secret_values(platform), secret_search.processes(platform)
            )
    return writer, before


def rows(platform: Platform) -> dict[tuple[str, str], dict[str, Any]]:
    found = platform.ok("secrets", "list", "--output", "json").envelope["data"]["secrets"]
    return {(row["component"], row["name"]): row for row in found}


def test_rotation_loses_no_write(rotated: tuple[Writer, secret_search.Values]) -> None:
    writer, _ = rotated
    assert writer.written > 50 and not writer.failed, writer.failed


def test_up_after_rotation_has_nothing_to_do(
    platform: Platform, rotated: tuple[Writer, secret_search.Values]
) -> None:
    assert "nothing to do" in platform.ok("up", "--yes").out
    listed = rows(platform)
    for secret in (("postgres", "admin"), ("minio", "admin"), ("mlflow", "bucket")):
        assert int(listed[secret]["version"]) >= 2
        assert listed[secret]["version"] == listed[secret]["mirrored"]
    assert listed["mlflow", "database"]["mirrored"] == "not kept"
    text = platform.ok("secrets", "list").out.encode()
    secret_search.assert_absent(secret_search.secret_values(platform), {"the list": text})


@pytest.mark.parametrize(
    ("component", "secret"),
    [("mlflow", "proxy"), ("airflow", "proof"), ("model-routes", "proxy"), ("job-logs", "proxy")],
)
def test_rotated_proxy_secret_restarts_no_pod_of_its_ui(
    platform: Platform, machine: None, component: str, secret: str
) -> None:
    """The rotation itself checks that the UI accepts both values, and rejects the old one at its end."""
    kube, name = Kube(platform.state / "kubeconfig"), f"{component}-{secret}"
    before = kube.get("v1", "Secret", name, component)
    pods = {pod["metadata"]["uid"] for pod in kube.list("v1", "Pod", component)}
    platform.ok("secrets", "rotate", component, "--only", secret)
    after = kube.get("v1", "Secret", name, component)
    assert before and after
    assert set(after["data"]) == {"value"} and after["data"] != before["data"]
    assert pods <= {pod["metadata"]["uid"] for pod in kube.list("v1", "Pod", component)}, "a pod restarted"


@pytest.mark.parametrize("step", ["mlflow/rotate-proxy", "gateway/release"])
def test_rotation_killed_before_the_end_is_completed_with_the_same_value(
    platform: Platform, machine: None, step: str
) -> None:
    kube = Kube(platform.state / "kubeconfig")

    def value(key: str = "value") -> str:
        found = kube.get("v1", "Secret", "mlflow-proxy", "mlflow")
        assert found
        return str(found["data"].get(key, ""))

    old = value()
    process = platform.start("secrets", "rotate", "mlflow", "--only", "proxy")
    assert process.stderr
    for line in process.stderr:
        if f"✔ {step}" in line:  # at its end
            break
    process.kill()
    process.communicate()
    new = value()
    assert (new != old, value("previous")) == (True, old)
    platform.ok("secrets", "rotate", "mlflow", "--only", "proxy")
    assert (value(), value("previous")) == (new, "")


def test_rotate_rejects_an_unknown_secret(platform: Platform) -> None:
    wrong = platform.run("secrets", "rotate", "mlflow", "--only", "nothing")
    assert wrong.code == 2 and "database" in wrong.err and "bucket" in wrong.err


def test_killed_vault_unseals_itself_with_all_secrets(platform: Platform) -> None:
    before = rows(platform)
    kill(processes(platform, b"/bao"))

    def opened() -> bool | Pending:
        try:
            seen = secret_search.vault_connection(platform).health()
        except (StepError, VaultError) as error:  # the pod is not ready, or does not answer yet
            return Pending(error.why)
        return Pending("sealed") if seen.sealed else True

    wait_until("the store opens itself", opened, seconds=120)
    after = rows(platform)
    assert {key: row["version"] for key, row in after.items()} == {
        key: row["version"] for key, row in before.items()
    }


def test_no_secret_value_is_in_files_processes_or_objects(
    platform: Platform, rotated: tuple[Writer, secret_search.Values]
) -> None:
    """Search every value, current or old, in files of runs, processes and cluster objects."""
    wanted = secret_search.secret_values(platform) | rotated[1]
    assert len(wanted) >= 12
    places = (
        secret_search.run_files(platform.state)
        | secret_search.processes(platform)
        | secret_search.cluster_objects(platform)
    )
    assert len(places) > 60 and {f"events of {namespace}" for namespace in ALL} <= places.keys()
    secret_search.assert_absent(wanted, places)


def test_audit_log_has_every_request_and_no_value(platform: Platform) -> None:
    log = secret_search.cluster_objects(platform)["log of vault-0"]
    assert b'"type":"request"' in log and b'"path":"auth/kubernetes/login"' in log
    assert b"hmac-sha256:" in log
    secret_search.assert_absent(secret_search.secret_values(platform), {"audit": log})
