"""Owns `unlock`: who holds an environment, here and in the cluster; freed when they are gone."""

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
    """One of the two locks: whose it is, whether they are gone, how to free it."""

    where: str
    holder: Holder
    gone: bool
    free: Callable[[], None]


def run(console: Console, *, force: bool) -> int:
    from mlops_platform.run.lock import locked
    from mlops_platform.run.open import open_environment

    opened = open_environment(console.environment, lenient=True)
    name = console.environment = opened.environment.name
    found = _held(opened)
    for lock in found:
        console.say(f"{lock.where}: {lock.holder}{' (gone)' if lock.gone else ''}")
    alive = [lock for lock in found if not lock.gone]
    if alive and not force:
        error = locked(name, alive[0].holder)
        error.hint = "wait for it to end; --force takes the lock from it, and it stops at its next heartbeat"
        error.command = f"mlops-platform unlock --env {name} --force"
        raise error
    for lock in found:
        lock.free()
    holders = [{"where": lock.where, "holder": str(lock.holder)} for lock in found]
    text = f"{name}: freed" if found else f"{name}: nobody holds it"
    return console.done({"freed": holders}, text)


def _held(opened: Opened) -> list[_Lock]:
    return [*_host(opened), *_lease(opened)]


def _host(opened: Opened) -> list[_Lock]:
    """The kernel frees the file when its holder dies: what is left in it then is only a name."""
    from mlops_platform.run.lock import HostLock, holder_of

    path = opened.state / "lock"
    holder = holder_of(path)
    if not holder:
        return []

    def free() -> None:
        if not holder.dead:  # its lock is on the file that is unlinked; the next run makes a new one
            path.unlink(missing_ok=True)
            return
        with HostLock(opened.state, opened.environment.name, "unlock"):
            pass

    return [_Lock("this machine", holder, holder.dead, free)]


def _lease(opened: Opened) -> list[_Lock]:
    """Of a cluster that cannot be asked nothing is known, and nothing is held in it."""
    from mlops_platform.base.errors import PreflightError, StepError
    from mlops_platform.run.connect import reach, read_only
    from mlops_platform.run.lock import LEASE, NAMESPACE, expired, free, lease_holder

    work = read_only(opened)
    try:
        reach(work)
        kube = work.clients.kube
        lease = kube.get("coordination.k8s.io/v1", "Lease", LEASE, NAMESPACE)
    except (StepError, PreflightError):
        return []
    holder = lease_holder(lease) if lease else None
    if not lease or not holder:
        return []
    return [_Lock("the cluster", holder, holder.dead or expired(lease), lambda: free(kube, lease))]
