"""Owns what a kind of cloud object is to a sweep: how it is found, named, deleted, and when to try again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session, absent, code_of

# Refusals that pass: the other thing is on its way out, or is deleted a kind later.
BUSY = frozenset(
    {
        "AuthFailure",  # ReleaseAddress, of an address that is still mapped
        "BucketNotEmpty",  # somebody still writes to it
        "ConflictException",
        "DeleteConflict",
        "DependencyViolation",
        "IncorrectState",
        "InvalidDBInstanceState",
        "InvalidDBSnapshotState",
        "InvalidDBSubnetGroupStateFault",
        "InvalidGroup.InUse",
        "InvalidIPAddress.InUse",
        "InvalidNetworkInterface.InUse",
        "InvalidSnapshot.InUse",
        "InvalidRequestException",
        "OperationAborted",
        "OperationAbortedException",
        "OperationNotPermitted",
        "ResourceInUse",
        "ResourceInUseException",
        "ScalingActivityInProgress",
        "VolumeInUse",
    }
)


@dataclass(frozen=True)
class Resource:
    """One object. `about` is type and size, `zone` '' where it has none, `made` None where nobody says.

    `busy` says why deleting cannot work yet; `going` that it is on its way out, so only waiting helps;
    `scheduled` when the cloud itself will delete it, later, as with keys.
    """

    id: str
    tags: Mapping[str, str]
    about: str = ""
    zone: str = ""
    made: datetime | None = None
    busy: str = ""
    going: bool = False
    scheduled: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def detail(self, now: datetime | None = None) -> str:
        """'50 GiB gp3 eu-central-1a, 3d old, pvc airflow/logs'"""
        claim = self.tags.get("kubernetes.io/created-for/pvc/name")
        space = self.tags.get("kubernetes.io/created-for/pvc/namespace", "")
        parts = [" ".join(part for part in (self.about, self.zone) if part)]
        parts += [f"{_age(self.made, now)} old"] if self.made else []
        parts += [f"pvc {space}/{claim}"] if claim else []
        parts += [self.busy] if self.busy else []
        return ", ".join(part for part in parts if part)


# Who holds it, in words, asked only of what would not go.
Explain = Callable[[Session, Ownership, Resource], str]


@dataclass(frozen=True)
class Kind:
    """`find` yields candidates with their tags, of which ownership is judged afterwards; `delete` raises
    botocore's errors and must stand being called again.

    `arn` begins the resource part of its ARNs ('ec2:volume/'), '' where the tag index has none; `exists`
    asks by id, for what only the tag index knows. `blocks`: Terraform's own destroy waits for it in vain.
    """

    name: str
    find: Callable[[Session, Ownership], Iterable[Resource]]
    delete: Callable[[Session, Resource, Ownership], None]
    arn: str = ""
    exists: Callable[[Session, str], bool] | None = None
    explain: Explain | None = None
    everywhere: bool = False
    blocks: bool = False
    seconds: float = 300


@contextmanager
def unless_gone() -> Iterator[None]:
    """Around what is asked about one object that was listed: it may have gone since, and lists name what is
    deleted for a while (S3 and the tag index document it). Then it is left out, and the inventory goes on."""
    try:
        yield
    except ClientError as error:
        if not absent(error):
            raise


def busy(error: Exception) -> bool:
    """An error that passes. "currently in use" is how EC2 refuses some with InvalidParameterValue."""
    code = code_of(error)
    return code in BUSY or (code.startswith("InvalidParameter") and "in use" in str(error))


def tags_of(raw: Mapping[str, Any], key: str = "Tags") -> dict[str, str]:
    """A list of Key and Value, as most services answer, as a mapping."""
    return {
        tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value", "")) for tag in raw.get(key) or ()
    }


def when(value: Any) -> datetime | None:
    """Services answer with datetimes, text, or milliseconds since 1970."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC)
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def _age(made: datetime, now: datetime | None) -> str:
    from mlops_platform.base.humanize import age

    return age(made, now)
