"""`unlock`: show the holders of an environment's locks, and free the locks of dead holders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlops_platform.console import Console

if TYPE_CHECKING:
    from mlops_platform.run.lock import Holder
    from mlops_platform.run.open import Opened


@dataclass(frozen=True)
class _Lock:
    """One of the two locks: its holder, whether the holder is gone, and the function that frees it."""

    where: str
    holder: Holder
    gone: bool
    free: Callable[[], None]


def run(console: Console, *, force: bool) -> int:
    from mlops_platform.run.lock import locked
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment, lenient=True)
    name = console.environment = opened.environment.name
    found = _locks(opened)
    for lock in found:
        console.say(f"{lock.where}: {lock.holder}{' (gone)' if lock.gone else ''}")
    alive = [lock for lock in found if not lock.gone]
    if alive and not force:
        error = locked(name, alive[0].holder)
        error.hint = "wait for it to end; --force takes the lock, and that run stops at its next heartbeat"
        error.command = f"mlops-platform unlock --env {name} --force"
        raise error
    for lock in found:
        lock.free()
    holders = [{"where": lock.where, "holder": str(lock.holder)} for lock in found]
    text = f"{name}: freed" if found else f"{name}: not locked"
    return console.done({"freed": holders}, text)


def _locks(opened: Opened) -> list[_Lock]:
    return [*_host(opened), *_lease(opened)]


def _host(opened: Opened) -> list[_Lock]:
    """The file lock. The kernel frees it when its holder dies; then the file has only the holder's name."""
    from mlops_platform.run.lock import HostLock, holder_of

    path = opened.state / "lock"
    holder = holder_of(path)
    if not holder:
        return []

    def free() -> None:
        if not holder.dead:  # the holder's lock is on the unlinked file; the next run makes a new file
            path.unlink(missing_ok=True)
            return
        with HostLock(opened.state, opened.environment.name, "unlock"):
            pass

    return [_Lock("this machine", holder, holder.dead, free)]


def _lease(opened: Opened) -> list[_Lock]:
    """The Lease in the cluster; none if the cluster does not answer."""
    from mlops_platform.base.errors import PreflightError, StepError
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.lock import LEASE, NAMESPACE, expired, free, lease_holder

    context = read_only(opened)
    try:
        reach(context)
        kube = context.clients.kube
        lease = kube.get("coordination.k8s.io/v1", "Lease", LEASE, NAMESPACE)
    except (StepError, PreflightError):
        return []
    holder = lease_holder(lease) if lease else None
    if not lease or not holder:
        return []
    return [_Lock("the cluster", holder, holder.dead or expired(lease), lambda: free(kube, lease))]
