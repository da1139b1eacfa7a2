"""Owns waiting until what was being made when its Terraform was killed is made, and removing what failed."""

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
class Settling:
    """`status` is '' for what is not there, else the service's own word, of EKS or RDS."""

    progress: Progress
    cancel: Cancel | None

    def made(self, what: str, status: Callable[[], str]) -> str:
        """How it ended, '' when it is gone. An import waits for nothing: what hangs on a cluster that is not
        there yet, or not for long, would be made at once, and fail."""

        def observe() -> str | Pending:
            now = status()
            return Pending(f"{what}: {now}") if now.upper() in _UNDER_WAY else now

        return wait_until(f"{what} made", observe, **self._how)

    def whole(self, what: str, status: Callable[[], str], delete: Callable[[], object]) -> bool:
        """True for what may be taken in. What failed to be made is deleted, and its name free again.

        Terraform would replace it, which is to delete it and make it anew; but an import block cannot say
        "replace", and a plan to replace a cluster would be refused as a loss of data. Nothing can be in it:
        whatever puts something there comes after the Terraform that was killed. Only for what is ours.
        """
        ended = self.made(what, status)
        if ended.upper() not in _FAILED:
            return bool(ended)
        self.progress.note(f"{what} had failed to be made ({ended}); it is deleted, and its name free again")
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
            "hint": "run the same command again to go on waiting",
        }
