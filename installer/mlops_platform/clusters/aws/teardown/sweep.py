"""Owns deleting what is provably ours, kind after kind, with bounded patience for what still holds it."""

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

_LONGEST_DELAY = 5  # seconds between two attempts, once it is clear that it takes long


@dataclass(frozen=True)
class Sweeper:
    """One sweep. `patience` is a factor on what each kind is given; tests have little."""

    session: Session
    ownership: Ownership
    progress: Progress
    cancel: Cancel
    patience: float = 1.0

    def sweep(self, wanted: Collection[tuple[str, str]], kinds: tuple[Kind, ...] = KINDS) -> None:
        """Delete what is wanted, (kind, id), if it is still ours when its turn comes.

        What will not go is noted with its reason and left for the proof to name.
        """
        for kind in kinds:
            ids = {id for name, id in wanted if name == kind.name}
            if ids:
                self._one_kind(kind, ids)

    def _one_kind(self, kind: Kind, ids: Collection[str]) -> None:
        told: set[str] = set()
        refused: set[str] = set()
        try:
            wait_until(
                f"{kind.name}s deleted",
                lambda: self._round(kind, ids, told, refused),
                seconds=kind.seconds * self.patience,
                cancel=self.cancel,
                on_seen=self.progress.say,
                longest_delay=_LONGEST_DELAY,
            )
        except WaitTimedOut as error:
            self.progress.note(f"{kind.name}: {error.why}")
        except StepError as error:
            self.progress.note(f"{kind.name}: {error.what}: {error.why}")

    def _round(self, kind: Kind, ids: Collection[str], told: set[str], refused: set[str]) -> bool | Pending:
        """Tags are read again in each round: what has been given to somebody else meanwhile is not ours.

        What is refused for good, as with AccessDenied, is said once and not tried again; the others go on.
        """
        waiting: list[str] = []
        for found in find(self.session, self.ownership, kind):
            resource = found.resource
            if resource.id not in {*ids} - refused or not found.ours or resource.scheduled:
                continue
            if resource.id not in told:
                told.add(resource.id)
                self.progress.note(f"{kind.name} {resource.id} {resource.detail()}".rstrip())
            try:
                waiting.append(f"{resource.id}{self._why(kind, resource)}")
            except StepError as error:
                if error.transient:
                    waiting.append(f"{resource.id} ({error.what})")
                    continue
                refused.add(resource.id)
                self.progress.note(f"{kind.name} {resource.id}: {error.what}: {error.why}")
        return Pending(", ".join(waiting[:3])) if waiting else True

    def _why(self, kind: Kind, resource: Resource) -> str:
        """Try; '' when it is on its way, else ' (what still holds it)'. Raises StepError when refused."""
        if resource.going or resource.busy:
            return f" ({resource.busy or 'on its way out'})"
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
