"""Owns the inventory of one environment in the cloud: two witnesses, each service and the tag index."""

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

# Tagged by themselves, and gone with what they are part of, though the tag index names them for a while yet.
PARTS = (
    "ec2:security-group-rule/",
    "eks:access-entry/",
    "eks:addon/",
    "eks:podidentityassociation/",
    "elasticloadbalancing:listener-rule/",
)
_AT_ONCE = 8  # services asked side by side; each is far from its own limit then


@dataclass(frozen=True)
class Found:
    """Something that carries the environment's mark, and whether it is provably the environment's."""

    kind: str
    resource: Resource
    verdict: Verdict

    @property
    def ours(self) -> bool:
        return self.verdict is Verdict.OURS


def look(session: Session, ownership: Ownership, kinds: tuple[Kind, ...] = KINDS) -> tuple[Found, ...]:
    """Everything of the environment that exists now, of every kind that is ever made, in sweep order.

    Changes nothing. Raises StepError when a service could not be asked: then nothing is known.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        indexed = pool.submit(lambda: dict(_index(session, ownership)))
        found = [
            each for of_kind in pool.map(lambda k: find(session, ownership, k), kinds) for each in of_kind
        ]
        known = {(each.kind, each.resource.id) for each in found}
        return (*found, *_unseen(session, ownership, indexed.result(), known, kinds))


def find(session: Session, ownership: Ownership, kind: Kind) -> list[Found]:
    """What exists of one kind and has our mark."""
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
    """What only the tag index names: a kind nobody here knows, or something the service itself forgot.

    The index goes on naming what is deleted, so whatever can be asked for by its id is.
    """
    for arn, tags in indexed.items():
        rest, id = split(arn)
        if rest.startswith(("s3:", *PARTS)):
            continue  # buckets are asked one by one, with their tags; the state's own goes last
        kind = next((k for k in kinds if k.arn and rest.startswith(k.arn)), None)
        if kind is None and kinds is KINDS:
            yield Found(rest.partition("/")[0], Resource(arn, tags), Verdict.UNPROVEN)
        elif kind and kind.exists and (kind.name, id) not in known and kind.exists(session, id):
            yield Found(kind.name, Resource(id, tags), ownership.verdict(tags, everywhere=kind.everywhere))


@contextmanager
def calling(service: str) -> Iterator[None]:
    """botocore's errors as ours, with the call that was refused."""
    from botocore import xform_name
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        with asking(f"{service} {xform_name(error.operation_name, '-')}"):
            raise
    except BotoCoreError:
        with asking(service):
            raise
