"""Proves secrets as an operator meets them: rotated on a busy platform, kept over kills, lying nowhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from mlops_platform.adapters.vault import VaultError
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import StepError

from tests.e2e import planted
from tests.e2e.platform import ALL, Platform
from tests.e2e.test_local import kill, processes

pytestmark = pytest.mark.e2e


@dataclass
class Writer:
    """A client that logs one metric after the other, and what became of each."""

    written: int = 0
    failed: list[str] = field(default_factory=list)


@contextmanager
def writing(platform: Platform) -> Iterator[Writer]:
    """Until the block ends; then every acknowledged write must be there."""
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
        kept = {metric.step for metric in client.get_metric_history(run, "step")}
    assert kept == set(range(writer.written))


@pytest.fixture(scope="module")
def rotated(platform: Platform, machine: None) -> tuple[Writer, planted.Words]:
    """Every secret of whoever stands behind MLflow, and its own, while a client writes."""
    before = planted.words(platform)
    with writing(platform) as writer:
        for component in ("mlflow", "postgres", "minio", "vault"):
            platform.ok("secrets", "rotate", component)
            planted.nowhere(before | planted.words(platform), planted.processes(platform))
    return writer, before


def rows(platform: Platform) -> dict[tuple[str, str], dict[str, Any]]:
    found = platform.ok("secrets", "list", "--output", "json").envelope["data"]["secrets"]
    return {(row["component"], row["name"]): row for row in found}


def test_a_rotation_loses_no_write(rotated: tuple[Writer, planted.Words]) -> None:
    writer, _ = rotated
    assert writer.written > 50 and not writer.failed, writer.failed


def test_after_a_rotation_there_is_nothing_to_do(
    platform: Platform, rotated: tuple[Writer, planted.Words]
) -> None:
    assert "nothing to do" in platform.ok("up", "--yes").out
    listed = rows(platform)
    for secret in (("postgres", "admin"), ("minio", "admin"), ("mlflow", "bucket")):
        assert int(listed[secret]["version"]) >= 2
        assert listed[secret]["version"] == listed[secret]["mirrored"]
    assert listed["mlflow", "database"]["mirrored"] == "not kept"
    text = platform.ok("secrets", "list").out.encode()
    planted.nowhere(planted.words(platform), {"the list": text})


def test_a_component_without_such_a_secret_is_told(platform: Platform) -> None:
    wrong = platform.run("secrets", "rotate", "mlflow", "--only", "nothing")
    assert wrong.code == 2 and "database" in wrong.err and "bucket" in wrong.err


def test_the_store_killed_opens_itself_and_has_lost_nothing(platform: Platform) -> None:
    before = rows(platform)
    kill(processes(platform, b"/bao"))

    def opened() -> bool | Pending:
        try:
            seen = planted.door(platform).health()
        except (StepError, VaultError) as error:  # its pod is not ready, or does not answer yet
            return Pending(error.why)
        return Pending("sealed") if seen.sealed else True

    wait_until("the store opens itself", opened, seconds=120)
    after = rows(platform)
    assert {key: row["version"] for key, row in after.items()} == {
        key: row["version"] for key, row in before.items()
    }


def test_no_secret_lies_around(platform: Platform, rotated: tuple[Writer, planted.Words]) -> None:
    """Every value there is or was is searched for in what runs leave and in what others can read."""
    wanted = planted.words(platform) | rotated[1]
    assert len(wanted) >= 12
    places = planted.left(platform.state) | planted.processes(platform) | planted.inside(platform)
    assert len(places) > 60 and {f"events of {namespace}" for namespace in ALL} <= places.keys()
    planted.nowhere(wanted, places)


def test_the_audit_log_has_every_request_and_no_value(platform: Platform) -> None:
    log = planted.inside(platform)["log of vault-0"]
    assert b'"type":"request"' in log and b'"path":"auth/kubernetes/login"' in log
    assert b"hmac-sha256:" in log
    planted.nowhere(planted.words(platform), {"audit": log})
