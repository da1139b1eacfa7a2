"""Environment `local` through the command line: up, use, kill, down, no leftovers."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.clusters.host.node import cgroups

from tests import ROOT, proc
from tests.e2e.platform import ALL, Platform

pytestmark = pytest.mark.e2e


def processes(platform: Platform, program: bytes) -> list[int]:
    """Host pids of the environment's processes that run a program."""
    return [p for p in cgroups.processes(platform.place.group) if proc.argv(p)[0].endswith(program)]


def supervisors(platform: Platform) -> list[int]:
    return [p for p in cgroups.processes(platform.place.group) if b"--kill-child=KILL" in proc.argv(p)]


def kill(pids: list[int]) -> None:
    assert pids, "no process to kill"
    for pid in pids:
        identity = ProcessId.of(pid)
        assert identity and identity.kill(signal.SIGKILL)
        wait_until("death", partial(_gone, identity), seconds=30)


def _gone(process: ProcessId) -> bool | Pending:
    return Pending("alive") if process.alive else True


def journal(platform: Platform) -> list[dict[str, Any]]:
    last = max((platform.state / "runs").iterdir())
    return [json.loads(line) for line in (last / "journal.jsonl").read_text().splitlines()]


def test_noop_up_starts_no_terraform(platform: Platform, tmp_path: Path) -> None:
    """A wrapper counts the starts of Terraform. The first `up` starts it once, because the binary changed."""
    count = tmp_path / "count"
    wrapper = tmp_path / "terraform"
    wrapper.write_text(f'#!/bin/sh\necho run >> {count}\nexec terraform "$@"\n')
    wrapper.chmod(0o755)
    counting = {"MLOPS_PLATFORM_TERRAFORM": str(wrapper)}
    assert platform.run("up", "--yes", env=counting).code == 0
    assert count.read_text(), "the wrapper was not started"
    count.unlink()
    result = platform.run("up", "--output", "json", env=counting)
    assert result.code == 0, result.err
    assert result.envelope["data"]["changed"] == 0
    assert not [e for e in journal(platform) if e["event"] == "step_started"]
    assert not count.exists()


def test_status_shows_all_components_ready_with_passed_smoke_tests(platform: Platform) -> None:
    rows = platform.ok("status", "--output", "json").envelope["data"]["rows"]
    assert {row["component"] for row in rows} == set(ALL)
    for row in rows:
        ready, _, wanted = row["ready"].partition("/")
        assert ready == wanted != "0", row
        assert row["smoke"].startswith("✔"), row


def test_smoke_writes_positive_and_negative_tests_to_junit(platform: Platform, tmp_path: Path) -> None:
    report = tmp_path / "smoke.xml"
    platform.ok("smoke", "--junit", str(report))
    suites = ET.parse(report).getroot().findall("testsuite")
    assert {s.get("name") for s in suites} == {*ALL, "matrix", "identities", "projects"}
    cases = [c.get("name") or "" for s in suites for c in s.findall("testcase")]
    assert len(cases) >= 30
    assert sum("refused" in c for c in cases) >= 10
    assert not [c for s in suites for c in s.iter() if c.tag in ("failure", "error")]


CLIENT = """
import sys, mlflow
from tests.e2e.names import resolve_localhost
resolve_localhost()
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("outside")
with mlflow.start_run() as run:
    mlflow.log_param("from", "outside"); mlflow.log_metric("m", 0.5)
    mlflow.log_text("hello", "note.txt")
found = mlflow.get_run(run.info.run_id)
assert found.data.params == {"from": "outside"} and found.data.metrics == {"m": 0.5}
assert mlflow.artifacts.load_text(found.info.artifact_uri + "/note.txt") == "hello"
print(run.info.run_id)
"""


@pytest.fixture(scope="module")
def outside(platform: Platform, machine: None) -> str:
    """Id of a run that a client outside the cluster has logged; this data must survive all tests."""
    with platform.opened("mlflow") as url:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def survives(platform: Platform, run: str) -> None:
    import mlflow

    with platform.opened("mlflow") as url:
        client = mlflow.MlflowClient(tracking_uri=url)
        assert client.get_run(run).data.params == {"from": "outside"}
        assert [a.path for a in client.list_artifacts(run)] == ["note.txt"]


def test_mlflow_client_outside_the_cluster_works_over_open(platform: Platform, outside: str) -> None:
    survives(platform, outside)


def test_open_reports_a_port_in_use(platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = platform.run("open", "minio", "--port", port)
    assert result.code == 5
    assert port in result.err and "hint" in result.err


def test_second_up_names_the_holder_of_the_lock(platform: Platform) -> None:
    """The first `up` is stopped while it holds the lock; the second must change nothing."""
    first = platform.start("smoke", "minio")
    wait_until(
        "the lock",
        lambda: True if _holder(platform) == first.pid else Pending("not held"),
        seconds=30,
    )
    second = platform.run("up")
    assert second.code == 8
    assert str(first.pid) in second.err and "since" in second.err
    out, err = first.communicate(timeout=300)
    assert first.returncode == 0, out + err


def _holder(platform: Platform) -> int:
    try:
        return int(json.loads((platform.state / "lock").read_text())["pid"])
    except (FileNotFoundError, ValueError, KeyError):
        return 0


def test_up_restores_node_and_data_after_supervisor_kill(platform: Platform, outside: str) -> None:
    kill(supervisors(platform))
    assert platform.run("status").code != 0
    platform.ok("up")
    survives(platform, outside)


def test_killed_etcd_restarts_itself(platform: Platform) -> None:
    kill(processes(platform, b"/etcd/server"))
    wait_until(
        "the API after etcd's death",
        lambda: True if platform.run("status").code == 0 else Pending("no answer"),
        seconds=60,
    )
    assert platform.ok("up", "--output", "json").envelope["outcome"] == "done"


def test_minio_killed_during_uploads_loses_no_artifact(
    platform: Platform, machine: None, tmp_path: Path
) -> None:
    """The client retries; afterwards every acknowledged artifact is complete."""
    import mlflow

    payload = random.Random(7).randbytes(20 * 2**20)
    artifact = tmp_path / "weights.bin"
    artifact.write_bytes(payload)
    with platform.opened("mlflow") as url:
        client = mlflow.MlflowClient(tracking_uri=url)
        run = client.create_run(client.create_experiment("uploads"))
        uploading = threading.Event()
        acknowledged: list[str] = []
        failures: list[str] = []

        def upload() -> None:
            for i in range(6):
                uploading.set()
                try:
                    client.log_artifact(run.info.run_id, str(artifact), f"try-{i}")
                    acknowledged.append(f"try-{i}")
                except (mlflow.MlflowException, OSError) as error:
                    failures.append(f"{i}: {error}")

        thread = threading.Thread(target=upload)
        thread.start()
        uploading.wait(30)
        kill(processes(platform, b"/minio"))
        thread.join()
        platform.ok("up")
        assert acknowledged, failures
        for name in acknowledged:
            found = client.download_artifacts(run.info.run_id, f"{name}/weights.bin", str(tmp_path))
            assert Path(found).read_bytes() == payload


def test_up_after_down_keep_data_has_the_data(platform: Platform, outside: str) -> None:
    platform.ok("down", "--keep-data", "--yes")
    assert not cgroups.processes(platform.place.group)
    platform.ok("up")
    survives(platform, outside)


@pytest.mark.parametrize("kills", [3])
def test_up_killed_at_random_moments_resumes(tmp_path: Path, kills: int) -> None:
    """SIGKILL of the command line: no finished step runs twice, no data is lost."""
    _kill_and_resume(Platform.make("e2e-kill", tmp_path), kills, longest=40)


@pytest.mark.soak
def test_up_killed_ten_times(tmp_path: Path) -> None:
    _kill_and_resume(Platform.make("e2e-soak", tmp_path), 10, longest=80)


def _kill_and_resume(platform: Platform, kills: int, longest: float) -> None:
    seed = int(os.environ.get("SEED", time.time_ns() % 10**6))
    print(f"SEED={seed}")
    moments = random.Random(seed)
    try:
        for _ in range(kills):
            platform.killed("up", "--yes", after=moments.uniform(0.3, longest / kills))
        platform.ok("up", "--yes")
        assert platform.ok("up", "--output", "json").envelope["data"]["changed"] == 0
    finally:
        platform.ok("down", "--yes")


def test_two_environments_side_by_side(platform: Platform, tmp_path: Path) -> None:
    other = Platform.make("e2e-two", tmp_path, disruptive=False)
    try:
        other.ok("up", "--yes")
        assert platform.ok("status").code == 0
    finally:
        other.ok("down", "--yes")
    assert platform.ok("up", "--output", "json").envelope["data"]["changed"] == 0


def test_down_lists_a_leftover_with_exit_7(tmp_path: Path) -> None:
    """The leftover is a foreign interface with this environment's name."""
    platform = Platform.make("e2e-left", tmp_path)
    platform.state.mkdir(parents=True)
    held = platform.state / "node" / "held"
    held.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(held)], check=True)
    busy = subprocess.Popen(["sleep", "600"], cwd=held)
    try:
        result = platform.run("down", "--yes")
        assert result.code == 7, result.err
        assert str(held) in result.out + result.err
    finally:
        busy.kill()
        busy.wait()
        subprocess.run(["umount", str(held)], check=False)
    platform.ok("down", "--yes")
