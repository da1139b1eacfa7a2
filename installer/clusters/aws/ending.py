"""Owns the way down of one environment on AWS: what there is, whose it is, and deleting it to the last."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from installer.cancel import Cancel
from installer.clusters.aws.inventory import Found, calling, find, look
from installer.clusters.aws.ownership import SERVICE_TAG, Ownership, Verdict
from installer.clusters.aws.session import Session
from installer.clusters.aws.state_bucket import Record, StateBucket
from installer.clusters.aws.sweeping import Sweeper
from installer.clusters.aws.sweeps import DATA, KINDS, RETAIN
from installer.clusters.aws.sweeps.index import partition
from installer.clusters.base import Leftover
from installer.errors import StepError
from installer.progress import Progress

RETAINED_TAG = "mlops-platform/retained"
STATE_BUCKET = "state bucket"
_UNPROVEN = "has the environment's tag, but of its run there is no record: not deleted"


@dataclass(frozen=True)
class Ending:
    """`here` is the copy of the record on this machine; from another machine the bucket's own is read."""

    session: Session
    bucket: StateBucket
    cluster: str
    here: Record | None

    @cached_property
    def ownership(self) -> Ownership:
        """From both records: a run that was killed may have reached only one of them."""
        records = [record for record in (self.bucket.record(), self.here) if record]
        since = min((datetime.fromisoformat(r.made_at) for r in records), default=None)
        runs = {run for record in records for run in (record.run, *record.runs) if run}
        return Ownership(self.bucket.environment, self.cluster if records else "", frozenset(runs), since)

    def inventory(self) -> tuple[Leftover, ...]:
        found = [_leftover(each) for each in look(self.session, self.ownership)]
        if self.bucket.exists():
            found.append(Leftover(STATE_BUCKET, self.bucket.name, keep="goes when all else is proven gone"))
        return tuple(found)

    def data(self) -> tuple[Leftover, ...]:
        """Buckets with something in them, and databases; of ours only, since only those would be deleted."""
        found = [each for kind in DATA for each in find(self.session, self.ownership, kind)]
        held = [each for each in found if each.ours and each.resource.about != "empty"]
        return tuple(_leftover(each) for each in held if not _leftover(each).keep)

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None) -> None:
        wanted = {(each.kind, each.id) for each in found if each.ours and not each.keep}
        Sweeper(self.session, self.ownership, progress, cancel or Cancel()).sweep(wanted)

    def explained(self, left: Sequence[Leftover]) -> tuple[Leftover, ...]:
        return tuple(self._explain(each) for each in left)

    def _explain(self, left: Leftover) -> Leftover:
        kind = next((k for k in KINDS if k.name == left.kind), None)
        if kind is None or kind.explain is None or not left.ours:
            return left
        with calling(kind.arn.partition(":")[0]):
            found = [r for r in kind.find(self.session, self.ownership) if r.id == left.id]
            why = kind.explain(self.session, self.ownership, found[0]) if found else "it has gone meanwhile"
        return replace(left, detail=", ".join(part for part in (left.detail, why) if part))

    def retain(self, words: Collection[str]) -> None:
        """By a tag, so that whoever takes an inventory later knows that they are there on purpose."""
        kinds = {name for word in words for name in RETAIN[word].kinds}
        arns = [self._arn(each) for each in look(self.session, self.ownership) if self._kept(each, kinds)]
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        for start in range(0, len(arns), 20):  # the most TagResources takes
            with calling("resourcegroupstaggingapi"):
                answer = self.session.client("resourcegroupstaggingapi").tag_resources(
                    ResourceARNList=arns[start : start + 20], Tags={RETAINED_TAG: today}
                )
            for arn, failure in (answer.get("FailedResourcesMap") or {}).items():
                raise StepError(f"{arn} could not be marked as retained", why=failure.get("ErrorMessage", ""))

    def _kept(self, found: Found, kinds: Collection[str]) -> bool:
        kind = next((k for k in KINDS if k.name == found.kind), None)
        return found.ours and found.kind in kinds and bool(kind and kind.arn)

    def _arn(self, found: Found) -> str:
        service, _, rest = next(k.arn for k in KINDS if k.name == found.kind).partition(":")
        where = "::" if service == "s3" else f"{self.session.region}:{self.session.account}:"
        return f"arn:{partition(self.session.region)}:{service}:{where}{rest}{found.resource.id}"

    def forget(self, progress: Progress) -> None:
        """Raises StepError when the bucket is still there afterwards."""
        progress.say(f"state bucket {self.bucket.name}")
        self.bucket.remove()
        if self.bucket.exists():
            raise StepError(f"the state bucket {self.bucket.name} is still there", transient=True)


def _leftover(found: Found) -> Leftover:
    resource = found.resource
    return Leftover(
        found.kind,
        resource.id,
        resource.detail() if found.verdict is Verdict.OURS else _joined(resource.detail(), _UNPROVEN),
        keep=_keep(resource.scheduled, resource.tags),
        ours=found.ours,
        blocks=_blocks(found),
    )


def _keep(scheduled: str, tags: Mapping[str, str]) -> str:
    day = tags.get(RETAINED_TAG, "")
    return scheduled or (f"retained since {day}" if day else "")


def _blocks(found: Found) -> bool:
    """EKS's own group would be freed of its rules while nodes still talk through it: it goes with the
    cluster. What is in use waits for its user, which Terraform ends."""
    kind = next((k for k in KINDS if k.name == found.kind), None)
    return bool(kind and kind.blocks) and SERVICE_TAG not in found.resource.tags and not found.resource.busy


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
