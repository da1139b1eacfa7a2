"""The lock on one machine: one holder, named in errors, released when it ends in any way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Exit, LockedError, PreflightError
from mlops_platform.run import lock
from mlops_platform.run.lock import EXPIRES_SECONDS, Holder, HostLock, LeaseLock, expired, holder_of

HOLDS = """
import sys
from pathlib import Path
from mlops_platform.run.lock import HostLock
with HostLock(Path(sys.argv[1]), "test", "mlops-platform up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its stdin ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_second_process_gets_the_name_of_the_holder(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(LockedError) as caught, HostLock(tmp_path, "test", "mlops-platform down"):
        pass
    assert caught.value.exit_code == Exit.LOCKED
    assert f"pid {other.pid}: `mlops-platform up`, since " in caught.value.what


def test_lock_of_a_killed_holder_is_free(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    left = holder_of(tmp_path / "lock")
    assert left and left.dead
    with HostLock(tmp_path, "test", "mlops-platform down"):
        now = holder_of(tmp_path / "lock")
    assert now and now.command == "mlops-platform down"


def test_free_lock_has_no_holder(tmp_path: Path) -> None:
    with HostLock(tmp_path, "test", "mlops-platform up"):
        holder = holder_of(tmp_path / "lock")
        assert holder and not holder.dead
    assert holder_of(tmp_path / "lock") is None


def test_holder_on_another_machine_is_not_dead() -> None:
    assert not Holder("elsewhere", "eva", 2**22, 1, "mlops-platform up", "2026-01-01").dead


@pytest.mark.parametrize(("age", "gone"), [(EXPIRES_SECONDS - 5, False), (EXPIRES_SECONDS + 5, True)])
def test_lease_without_a_heartbeat_expires(age: int, gone: bool) -> None:
    renewed = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
    assert expired({"spec": {"renewTime": renewed}}) is gone


def test_lease_without_a_renewal_is_expired() -> None:
    assert expired({"spec": {}})


def test_heartbeat_survives_a_failed_login_and_notices_a_lost_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.01)
    answers = iter((PreflightError("no login"), None))

    class Kube:
        def get(self, *_: str) -> None:
            if isinstance(error := next(answers), PreflightError):
                raise error

    cancel = Cancel()
    lease = LeaseLock(cast(Any, Kube()), "test", "mlops-platform up", cancel)
    lease._beat()
    assert cancel.requested and lease.lost == "the lock was taken by another run"


def test_lease_is_made_again_after_the_deletion_of_its_namespace() -> None:
    class Kube:
        """A cluster in which `down` has just deleted the namespace, with the free lease still in it."""

        def __init__(self) -> None:
            self.looks, self.written = 3, list[str]()

        def get(self, _: str, kind: str, name: str, namespace: str = "") -> dict[str, Any] | None:
            if kind == "Lease":
                return {"metadata": {"name": name}, "spec": {}}
            self.looks -= 1
            return {"metadata": {"name": name, "deletionTimestamp": "now"}} if self.looks > 0 else None

        def kubectl(self, *arguments: str) -> str:
            return " ".join(arguments)

        def apply(self, *objects: dict[str, Any]) -> None:
            self.written += [each["kind"] for each in objects]

        def create(self, made: dict[str, Any]) -> None:
            self.written.append(f"new {made['kind']}")

        def replace(self, made: dict[str, Any]) -> None:
            self.written.append(f"old {made['kind']}")

    kube = Kube()
    held = LeaseLock(cast(Any, kube), "test", "mlops-platform up", Cancel())
    assert held._take() == ""
    assert kube.written == ["Namespace", "ServiceAccount", "ServiceAccount", "new Lease"]
