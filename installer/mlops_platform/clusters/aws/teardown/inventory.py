"""The inventory of one environment in the cloud, from each service and from the tag index."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from mlops_platform.clusters.aws.ownership import Ownership, Verdict
from mlops_platform.clusters.aws.session import Session, asking
from mlops_platform.clusters.aws.teardown.sweeps import KINDS
from mlops_platform.clusters.aws.teardown.sweeps.index import split, tagged
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource

# Parts with tags of their own, which go with their parent but stay in the tag index for a while.
PARTS = (
    "ec2:security-group-rule/",
    "eks:access-entry/",
    "eks:addon/",
    "eks:podidentityassociation/",
    "elasticloadbalancing:listener-rule/",
)
_AT_ONCE = 8  # services in parallel; far from their rate limits


@dataclass(frozen=True)
class Found:
    """An object with the environment's tag, and the verdict on its owner."""

    kind: str
    resource: Resource
    verdict: Verdict

    @property
    def ours(self) -> bool:
        return self.verdict is Verdict.OURS


def look(session: Session, ownership: Ownership, kinds: tuple[Kind, ...] = KINDS) -> tuple[Found, ...]:
    """List every existing object of the environment, of all kinds, in the order of the sweep.

    Changes nothing. Raises StepError when a service does not answer, since the list would be incomplete.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        indexed = pool.submit(lambda: dict(_index(session, ownership)))
        found = [
            each for of_kind in pool.map(lambda k: find(session, ownership, k), kinds) for each in of_kind
        ]
        known = {(each.kind, each.resource.id) for each in found}
        return (*found, *_unseen(session, ownership, indexed.result(), known, kinds))


def find(session: Session, ownership: Ownership, kind: Kind) -> list[Found]:
    """The existing objects of one kind with our tag."""
    with calling(kind.arn.partition(":")[0]):
        judged = [
            Found(kind.name, each, ownership.verdict(each.tags, everywhere=kind.everywhere))
            for each in kind.find(session, ownership)
        ]
    return [each for each in judged if each.verdict is not Verdict.OTHERS]


def _index(session: Session, ownership: Ownership) -> Iterator[tuple[str, dict[str, str]]]:
    with calling("resourcegroupstaggingapi"):
        yield from tagged(session, ownership.environment)


def _unseen(
    session: Session,
    ownership: Ownership,
    indexed: dict[str, dict[str, str]],
    known: set[tuple[str, str]],
    kinds: tuple[Kind, ...],
) -> Iterator[Found]:
    """Objects that only the tag index lists: unknown kinds, or objects that the service's list lacks.

    The index also lists deleted objects for a while, so existence is checked by id where possible.
    """
    for arn, tags in indexed.items():
        rest, id = split(arn)
        if rest.startswith(("s3:", *PARTS)):
            continue  # buckets are listed with their own tags; the state bucket goes last
        kind = next((k for k in kinds if k.arn and rest.startswith(k.arn)), None)
        if kind is None and kinds is KINDS:
            yield Found(rest.partition("/")[0], Resource(arn, tags), Verdict.UNKNOWN)
        elif kind and kind.exists and (kind.name, id) not in known and kind.exists(session, id):
            yield Found(kind.name, Resource(id, tags), ownership.verdict(tags, everywhere=kind.everywhere))


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Convert botocore's errors to ours, with the failed call."""
    from botocore import xform_name  # imported at use: start-up time
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        with asking(f"{service} {xform_name(error.operation_name, '-')}"):
            raise
    except BotoCoreError:
        with asking(service):
            raise
