"""Teardown of one environment on AWS: inventory, sweep, retention, and the removal of its record."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import StepError
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.aws.ownership import SERVICE_TAG, Ownership, Verdict
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import StateBucket
from mlops_platform.clusters.aws.state.record import EnvironmentRecord
from mlops_platform.clusters.aws.teardown.inventory import Found, calling, find, look
from mlops_platform.clusters.aws.teardown.sweep import Sweeper
from mlops_platform.clusters.aws.teardown.sweeps import DATA, KINDS, RETAIN
from mlops_platform.clusters.aws.teardown.sweeps.index import partition
from mlops_platform.clusters.aws.teardown.sweeps.rest import LOG_GROUPS, control_plane_log
from mlops_platform.clusters.aws.teardown.sweeps.stores import DATABASES
from mlops_platform.clusters.leftovers import Leftover
from mlops_platform.clusters.teardown import Teardown

RETAINED_TAG = "mlops-platform/retained"
STATE_BUCKET = "state bucket"
_UNKNOWN = "has the environment's tag, but no record has its run: not deleted"


@dataclass(frozen=True)
class AwsTeardown(Teardown):
    """The teardown of one environment; `cluster` is the name of its EKS cluster."""

    record: EnvironmentRecord
    cluster: str
    kubeconfig: Path
    retainable = RETAIN

    @property
    def session(self) -> Session:
        return self.record.session

    @property
    def bucket(self) -> StateBucket:
        return self.record.bucket

    @cached_property
    def ownership(self) -> Ownership:
        """The rules from both records: a killed run may have written only one of them."""
        records = [record for record in (self.bucket.record(), self.record.here()) if record]
        since = min((datetime.fromisoformat(r.made_at) for r in records), default=None)
        runs = frozenset[str]().union(*(record.every_run for record in records))
        return Ownership(self.bucket.environment, self.cluster if records else "", runs, since)

    def inventory(self) -> tuple[Leftover, ...]:
        every = look(self.session, self.ownership)
        alive = any(SERVICE_TAG in each.resource.tags for each in every) and self._alive()
        found = [_leftover(each, cluster_alive=alive) for each in every]
        if self.bucket.exists():
            found.append(
                Leftover(STATE_BUCKET, self.bucket.name, keep="removed last, after the verification")
            )
        return tuple(found)

    def _alive(self) -> bool:
        """True: a cluster of the name exists, with any tags.

        EKS deletes its own security group with the cluster, but not while an interface uses it, and never
        later (aws/aws-k8s-tester#416).
        """
        return self.session.ask("eks", "describe_cluster", name=self.cluster) is not None

    def data(self) -> tuple[Leftover, ...]:
        """Our buckets with objects, and our databases; others would not be deleted."""
        found = [each for kind in DATA for each in find(self.session, self.ownership, kind)]
        held = [_leftover(e) for e in found if e.ours and e.resource.about != "empty"]
        held = [each for each in held if not each.keep]
        protected = self._protected() if any(each.kind == DATABASES.name for each in held) else ()
        return tuple(replace(each, protected=each.id in protected) for each in held)

    def _protected(self) -> frozenset[str]:
        with calling("rds"):
            found = self.session.pages("rds", "describe_db_instances", "DBInstances")
            return frozenset(
                str(raw["DBInstanceIdentifier"]) for raw in found if raw.get("DeletionProtection")
            )

    def sweep(self, found: Sequence[Leftover], progress: Progress, cancel: Cancel | None = None) -> None:
        wanted = {(each.kind, each.id) for each in found if each.ours and not each.keep}
        Sweeper(self.session, self.ownership, progress, cancel or Cancel()).sweep(wanted)

    def with_reasons(self, left: Sequence[Leftover]) -> tuple[Leftover, ...]:
        return tuple(self._explain(each) for each in left)

    def _explain(self, left: Leftover) -> Leftover:
        kind = next((k for k in KINDS if k.name == left.kind), None)
        if kind is None or kind.explain is None or not left.ours:
            return left
        with calling(kind.arn.partition(":")[0]):
            found = [r for r in kind.find(self.session, self.ownership) if r.id == left.id]
            why = kind.explain(self.session, self.ownership, found[0]) if found else "gone in the meantime"
        return replace(left, detail=", ".join(part for part in (left.detail, why) if part))

    def retain(self, words: Collection[str]) -> None:
        """Mark objects with a tag, so that a later inventory lists them as kept."""
        kinds = {name for word in words for name in RETAIN[word].kinds}
        arns = [self._arn(each) for each in look(self.session, self.ownership) if self._kept(each, kinds)]
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        for start in range(0, len(arns), 20):  # the limit of TagResources
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

    def expire(self, when: str) -> None:
        self.record.expire(when)

    def destroy_files(self, *, keep_data: bool, progress: Progress) -> None:
        """Only files; the state bucket goes last, in `remove_record`."""
        self.kubeconfig.unlink(missing_ok=True)

    def record_location(self) -> str:
        if self.bucket.exists():
            return f"s3://{self.bucket.name}"
        return str(self.record.file) if self.record.here() else ""

    def remove_record(self, progress: Progress) -> None:
        """The bucket, then its copy: after a kill in between, the next run finds that the bucket is gone.

        Raises StepError when the bucket is still there afterwards.
        """
        self._sweep_late_log(progress)
        progress.say(f"state bucket {self.bucket.name}")
        self.bucket.remove()
        if self.bucket.exists():
            raise StepError(f"the state bucket {self.bucket.name} is still there", transient=True)
        self.record.file.unlink(missing_ok=True)

    def _sweep_late_log(self, progress: Progress) -> None:
        """Delete the log group of the control plane, as late as possible.

        EKS delivers logs for minutes after the cluster is gone, and recreates the group without a tag
        (terraform-aws-modules/terraform-aws-eks#2446). Without the record its owner would be unknown.
        """
        name = control_plane_log(self.cluster)
        late = [each for each in find(self.session, self.ownership, LOG_GROUPS) if each.resource.id == name]
        if going := [each for each in map(_leftover, late) if each.ours and not each.keep]:
            self.sweep(going, progress)
            progress.note(
                f"EKS recreated log group {name}, and may do so for some minutes; "
                f"aws logs delete-log-group --region {self.session.region} --log-group-name {name}"
            )


def _leftover(found: Found, *, cluster_alive: bool = True) -> Leftover:
    resource = found.resource
    return Leftover(
        found.kind,
        resource.id,
        resource.detail() if found.verdict is Verdict.OURS else _joined(resource.detail(), _UNKNOWN),
        keep=_keep(resource.scheduled, resource.tags),
        ours=found.ours,
        blocks=_blocks(found, cluster_alive=cluster_alive),
    )


def _keep(scheduled: str, tags: Mapping[str, str]) -> str:
    day = tags.get(RETAINED_TAG, "")
    return scheduled or (f"retained since {day}" if day else "")


def _blocks(found: Found, *, cluster_alive: bool) -> bool:
    """True: it can be deleted before Terraform's destroy.

    Not EKS's own security group, whose rules the nodes still need: it goes with the cluster or after it. And
    not objects in use, whose users Terraform ends.
    """
    kind = next((k for k in KINDS if k.name == found.kind), None)
    in_use = found.resource.busy or (cluster_alive and SERVICE_TAG in found.resource.tags)
    return bool(kind and kind.blocks) and not in_use


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
