"""Deletion of our own objects, kind by kind, with a time limit for objects that are still in use."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from botocore.exceptions import ClientError

from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError, WaitTimedOut
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session, absent
from mlops_platform.clusters.aws.teardown.inventory import calling, find
from mlops_platform.clusters.aws.teardown.sweeps import KINDS
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, busy

_LONGEST_DELAY = 5  # seconds between two attempts


@dataclass(frozen=True)
class Sweeper:
    """One sweep. `patience` is a factor on the time limit of each kind, for tests."""

    session: Session
    ownership: Ownership
    progress: Progress
    cancel: Cancel
    patience: float = 1.0

    def sweep(self, wanted: Collection[tuple[str, str]], kinds: tuple[Kind, ...] = KINDS) -> None:
        """Delete the `wanted` objects, (kind, id), that are still ours at that time.

        An object that cannot be deleted is noted with the reason; the verification lists it.
        """
        for kind in kinds:
            ids = {id for name, id in wanted if name == kind.name}
            if ids:
                self._one_kind(kind, ids)

    def _one_kind(self, kind: Kind, ids: Collection[str]) -> None:
        noted: set[str] = set()
        failed: set[str] = set()
        try:
            wait_until(
                f"{kind.name}s deleted",
                lambda: self._round(kind, ids, noted, failed),
                seconds=kind.seconds * self.patience,
                cancel=self.cancel,
                on_seen=self.progress.say,
                longest_delay=_LONGEST_DELAY,
            )
        except WaitTimedOut as error:
            self.progress.note(f"{kind.name}: {error.why}")
        except StepError as error:
            self.progress.note(f"{kind.name}: {error.what}: {error.why}")

    def _round(self, kind: Kind, ids: Collection[str], noted: set[str], failed: set[str]) -> bool | Pending:
        """Try each object once. Tags are read again in each round, because the owner may have changed.

        A permanent error, such as AccessDenied, is noted once and not tried again.
        """
        waiting: list[str] = []
        for found in find(self.session, self.ownership, kind):
            resource = found.resource
            if resource.id not in {*ids} - failed or not found.ours or resource.scheduled:
                continue
            if resource.id not in noted:
                noted.add(resource.id)
                self.progress.note(f"{kind.name} {resource.id} {resource.detail()}".rstrip())
            try:
                waiting.append(f"{resource.id}{self._why(kind, resource)}")
            except StepError as error:
                if error.transient:
                    waiting.append(f"{resource.id} ({error.what})")
                    continue
                failed.add(resource.id)
                self.progress.note(f"{kind.name} {resource.id}: {error.what}: {error.why}")
        return Pending(", ".join(waiting[:3])) if waiting else True

    def _why(self, kind: Kind, resource: Resource) -> str:
        """Delete an object; '' on success, otherwise ' (what uses it)'. Raises StepError for other errors."""
        if resource.going or resource.busy:
            return f" ({resource.busy or 'being deleted'})"
        with calling(kind.arn.partition(":")[0]):
            try:
                kind.delete(self.session, resource, self.ownership)
            except ClientError as error:
                if absent(error):
                    return ""
                if busy(error):
                    return f" ({error.response['Error'].get('Message', error)})"
                raise
        return ""
