"""The lock of a state in S3: released only for a dead Terraform of this machine."""

from __future__ import annotations

import json
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlops_platform.adapters.process import spawn
from mlops_platform.adapters.terraform import stale
from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.errors import LockedError
from mlops_platform.clusters.aws.remote_state import RemoteState
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import LOCK_KEY, Record, StateBucket

from tests.fakes.aws import REGION, Account
from tests.unit.adapters.terraform.recording import RecordingProgress

pytestmark = pytest.mark.integration


@pytest.fixture
def remote(account: Account) -> RemoteState:
    bucket = StateBucket(Session(REGION), "staging")
    record = Record("staging", account.id, REGION, "tester", "run-1", "2026-01-01T00:00:00+00:00")
    bucket.ensure(record.tags())
    return RemoteState(bucket)


def lock(remote: RemoteState, host: str = "") -> None:
    """A lock in Terraform's format, with time in nanoseconds."""
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    who = f"root@{host or socket.gethostname()}"
    said = {"ID": "1", "Operation": "OperationTypeApply", "Who": who, "Created": made}
    remote._bucket.put(LOCK_KEY, json.dumps(said))


def test_lock_of_dead_terraform_of_this_machine_is_released_and_noted(
    remote: RemoteState, tmp_path: Path
) -> None:
    progress, folder = RecordingProgress(), Folder(tmp_path, tmp_path / "f", remote)
    stale.release(folder, remote, progress)
    assert progress.notes == []
    lock(remote)
    stale.release(folder, remote, progress)
    assert remote.lock() is None and "apply" in progress.notes[0]


def test_lock_of_another_machine_stays(remote: RemoteState, tmp_path: Path) -> None:
    lock(remote, "elsewhere")
    with pytest.raises(LockedError, match="root@elsewhere"):
        stale.release(Folder(tmp_path, tmp_path / "f", remote), remote, RecordingProgress())
    assert remote.lock()


@pytest.mark.parametrize(
    ("by_hand", "holds"), [(False, True), (True, True), (False, False)], ids=["ours", "by hand", "of another"]
)
def test_lock_of_running_terraform_stays(
    remote: RemoteState, tmp_path: Path, by_hand: bool, holds: bool
) -> None:
    """The state of a running Terraform is known from its initialized backend."""
    data = tmp_path / (".terraform" if by_hand else "data")
    data.mkdir()
    config = {**remote.config(), **({} if holds else {"bucket": "another"})}
    (data / "terraform.tfstate").write_text(json.dumps({"backend": {"type": "s3", "config": config}}))
    program = tmp_path / "terraform"
    program.symlink_to("/bin/sleep")
    started = spawn(
        [str(program), "600"],
        stdout=tmp_path / "log",
        env={"TF_DATA_DIR": "" if by_hand else str(data)},
        cwd=tmp_path,
    )
    try:
        lock(remote)
        # The time of /proc/PID is that of its first access, not of the process.
        then = time.monotonic() + 4
        wait_until("some time", lambda: time.monotonic() > then or Pending("too early"), seconds=10)
        folder = Folder(tmp_path, tmp_path / "f", remote)
        if holds:
            with pytest.raises(LockedError, match=str(started.pid)):
                stale.release(folder, remote, RecordingProgress())
        else:
            stale.release(folder, remote, RecordingProgress())
        assert bool(remote.lock()) is holds
    finally:
        started.kill()
        started.wait()
