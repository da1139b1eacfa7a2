"""Waiters for objects that were being created when Terraform was killed, and removal of failed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.progress import Progress

_SECONDS = 1800.0  # a cluster or a database takes ten minutes, a node group that fails twice as long
_LONGEST_DELAY = 10
_UNDER_WAY = frozenset({"CREATING", "DELETING"})
_FAILED = frozenset({"FAILED", "CREATE_FAILED"})


@dataclass(frozen=True)
class CreationWaiter:
    """Waits; a `status` function returns the status in EKS or RDS, '' when the object is gone."""

    progress: Progress
    cancel: Cancel | None

    def made(self, what: str, status: Callable[[], str]) -> str:
        """Wait for the end of a creation; return the status, '' when the object is gone.

        `terraform import` does not wait: children of an unfinished cluster would be created at once and fail.
        """

        def observe() -> str | Pending:
            now = status()
            return Pending(f"{what}: {now}") if now.upper() in _UNDER_WAY else now

        return wait_until(f"{what} made", observe, **self._how)

    def importable(self, what: str, status: Callable[[], str], delete: Callable[[], object]) -> bool:
        """True: it can be imported. An object whose creation failed is deleted, which frees its name.

        An import block cannot say "replace", and a plan that replaces a cluster would be rejected as a loss
        of data. The object is empty: the steps that fill it run after Terraform. Call it only for our own.
        """
        ended = self.made(what, status)
        if ended.upper() not in _FAILED:
            return bool(ended)
        self.progress.note(f"{what} failed to be created ({ended}) and is deleted, so that its name is free")
        delete()

        def observe() -> bool | Pending:
            now = status()
            return Pending(f"{what}: {now}") if now else True

        wait_until(f"{what} deleted", observe, **self._how)
        return False

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "seconds": _SECONDS,
            "cancel": self.cancel,
            "on_seen": self.progress.say,
            "longest_delay": _LONGEST_DELAY,
            "hint": "run the same command again to continue waiting",
        }
