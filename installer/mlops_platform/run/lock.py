"""Locks of an environment: a file lock on this machine, a Lease with a heartbeat in the cluster."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlops_platform.adapters.process import ProcessId
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import LockedError, PreflightError, StepError
from mlops_platform.base.labels import PLATFORM_NAMESPACE

if TYPE_CHECKING:
    from mlops_platform.adapters.kube import Kube

LEASE, NAMESPACE = "mlops-platform", PLATFORM_NAMESPACE
HEARTBEAT_SECONDS, EXPIRES_SECONDS = 5, 20
_KEY = ("coordination.k8s.io/v1", "Lease", LEASE, NAMESPACE)
_CONFLICT = 409


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock: host, user, command and start."""

    host: str
    user: str
    pid: int
    start_ticks: int
    command: str
    since: str

    @classmethod
    def me(cls, command: str) -> Holder:
        identity = ProcessId.of(os.getpid())
        return cls(
            socket.gethostname(),
            getpass.getuser(),
            os.getpid(),
            identity.start_ticks if identity else 0,
            command,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Read the text of a lock; None if it is not in the format of any version."""
        try:
            return cls(**json.loads(text))
        except (json.JSONDecodeError, TypeError):
            return None

    def __str__(self) -> str:
        return f"{self.user}@{self.host} pid {self.pid}: `{self.command}`, since {self.since}"

    @property
    def dead(self) -> bool:
        """Return whether the holder is known to be gone: it ran on this host, and its process has ended."""
        here = self.host == socket.gethostname()
        return here and not ProcessId(self.pid, self.start_ticks).alive


def locked(environment: str, holder: Holder | str) -> LockedError:
    return LockedError(
        f"{environment} is locked by {holder}",
        hint="wait for it to end; nothing was changed",
        command=f"mlops-platform unlock --env {environment}",
    )


class HostLock:
    """flock on a file, which the kernel releases when the holder ends in any way."""

    def __init__(self, state: Path, environment: str, command: str) -> None:
        self._path = state / "lock"
        self._environment = environment
        self._command = command
        self._file: int | None = None

    def __enter__(self) -> HostLock:
        """Take the lock. Raises LockedError with the holder if another process has it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            raise locked(self._environment, holder_of(self._path) or "another process") from None
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(asdict(Holder.me(self._command))).encode(), 0)
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None


def holder_of(path: Path) -> Holder | None:
    """The last holder in a lock file; None if it is free or was never held."""
    try:
        return Holder.parse(path.read_text())
    except FileNotFoundError:
        return None


class LeaseLock:
    """A coordination.k8s.io Lease, which locks the environment for all machines that reach the cluster.

    The holder sends a heartbeat every 5 s; a lease without one for 20 s, or of a dead process, is taken over.
    https://kubernetes.io/docs/concepts/architecture/leases/
    """

    def __init__(self, kube: Kube, environment: str, command: str, cancel: Cancel) -> None:
        self._kube = kube
        self._environment = environment
        self._cancel = cancel
        self._me = Holder.me(command)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = ""

    def acquire(self) -> str:
        """Take the lease; return '' or a line that names the holder taken over. Raises LockedError."""
        from mlops_platform.adapters.kube import KubeError  # imported at use: start-up time

        try:
            took = self._take()
        except KubeError as error:
            if error.status != _CONFLICT:
                raise
            # Another run wrote the lease between our read and our write: it has the lock.
            raise locked(self._environment, self._holder() or "another run, just now") from error
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return took

    def _take(self) -> str:
        from mlops_platform.adapters.kube.namespaces import ensure_namespace  # imported at use: start-up time

        found = self._kube.get(*_KEY)
        if (found is None or lease_holder(found) is None) and self._outlast_deletion():
            found = None
        if found is None:
            ensure_namespace(self._kube, NAMESPACE, self._environment)
            self._kube.create(self._lease({}))
            return ""
        holder = lease_holder(found)
        if holder and holder != self._me and not holder.dead and not expired(found):
            raise locked(self._environment, holder)
        self._write(found)
        return f"took over the lock of {holder}: its heartbeat had stopped" if holder else ""

    def _outlast_deletion(self) -> bool:
        """Wait while the namespace of the lease is being deleted, as `down` does; return whether it was.

        The deletion would remove the lease in the middle of the run.
        """

        def state() -> bool | Pending:
            found = self._kube.get("v1", "Namespace", NAMESPACE)
            return Pending("being deleted") if found and found["metadata"].get("deletionTimestamp") else True

        if state() is True:
            return False
        command = self._kube.kubectl("get", "namespace", NAMESPACE, "-o", "yaml")
        wait_until(f"namespace {NAMESPACE} is gone", state, seconds=60, cancel=self._cancel, command=command)
        return True

    def _holder(self) -> Holder | None:
        found = self._kube.get(*_KEY)
        return lease_holder(found) if found else None

    def release(self) -> None:
        """Free the lease, if this run still holds it; after a `down`, wait until its namespace is gone.

        Else the next `up` would find objects there that end a moment later.
        """
        if not self._thread:
            return
        self._stop.set()
        self._thread.join()
        found = self._kube.get(*_KEY)
        if found and lease_holder(found) == self._me:
            free(self._kube, found)
        self._outlast_deletion()

    def _beat(self) -> None:
        """Renew the lease; cancel the run if another run has taken it over."""
        while not self._stop.wait(HEARTBEAT_SECONDS):
            try:
                found = self._kube.get(*_KEY)
                holder = lease_holder(found) if found else None
                if found and holder == self._me:
                    self._write(found)
                    continue
            except (StepError, PreflightError):
                continue  # a restart, a failed login, or a write of another run: the next beat shows which
            self.lost = f"the lock was taken by {holder or 'another run'}"
            self._cancel.request()
            return

    def _write(self, found: dict[str, Any]) -> None:
        """Write the lease; the server rejects it if another run has written since our read."""
        self._kube.replace(self._lease(found["metadata"]))

    def _lease(self, metadata: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        kept = {k: v for k, v in metadata.items() if k == "resourceVersion"}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": NAMESPACE, **kept},
            "spec": {
                "holderIdentity": json.dumps(asdict(self._me)),
                "leaseDurationSeconds": EXPIRES_SECONDS,
                "renewTime": now,
            },
        }


def lease_holder(lease: dict[str, Any]) -> Holder | None:
    return Holder.parse(lease.get("spec", {}).get("holderIdentity") or "")


def expired(lease: dict[str, Any]) -> bool:
    """Return whether there was no heartbeat for longer than the lease lasts."""
    renewed = lease.get("spec", {}).get("renewTime")
    if not renewed:
        return True
    age = datetime.now(UTC) - datetime.fromisoformat(renewed)
    return age > timedelta(seconds=EXPIRES_SECONDS)


def free(kube: Kube, lease: dict[str, Any]) -> None:
    """Write a Lease without a holder."""
    lease["spec"] = {"leaseDurationSeconds": EXPIRES_SECONDS}
    lease["metadata"].pop("managedFields", None)
    kube.replace(lease)
