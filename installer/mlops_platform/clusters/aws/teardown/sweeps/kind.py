"""A kind of cloud object: how to find, describe and delete it, and which errors are transient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from mlops_platform.base.humanize import age
from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session, absent, code_of

# Transient errors: the object that uses it is being deleted, or its kind comes later.
BUSY = frozenset(
    {
        "AuthFailure",  # ReleaseAddress, for an address that is still mapped
        "BucketNotEmpty",  # still being written to
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
    """One object. `about` is type and size; `zone` is '' and `made` None when unknown.

    `busy`: why a deletion would fail now; `going`: it is being deleted already; `scheduled`: when the cloud
    will delete it itself, as with keys.
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
        """A description such as '50 GiB gp3 eu-central-1a, 3d old, pvc airflow/logs'."""
        claim = self.tags.get("kubernetes.io/created-for/pvc/name")
        space = self.tags.get("kubernetes.io/created-for/pvc/namespace", "")
        parts = [" ".join(part for part in (self.about, self.zone) if part)]
        parts += [f"{_age(self.made, now)} old"] if self.made else []
        parts += [f"pvc {space}/{claim}"] if claim else []
        parts += [self.busy] if self.busy else []
        return ", ".join(part for part in parts if part)


# Describes what uses an object that could not be deleted.
Explain = Callable[[Session, Ownership, Resource], str]


@dataclass(frozen=True)
class Kind:
    """One kind. `find` yields candidates with their tags; `delete` is idempotent, with botocore's errors.

    `arn` is the prefix of the resource part of its ARNs ('ec2:volume/'), '' where the tag index has none;
    `exists` checks an id that only the tag index lists. `blocks`: Terraform's destroy would wait for it.
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
    """Skip an object that is gone: S3 and the tag index list deleted objects for a while."""
    try:
        yield
    except ClientError as error:
        if not absent(error):
            raise


def busy(error: Exception) -> bool:
    """True: a transient error. EC2 reports some as InvalidParameterValue with "currently in use"."""
    code = code_of(error)
    return code in BUSY or (code.startswith("InvalidParameter") and "in use" in str(error))


def tags_of(raw: Mapping[str, Any], key: str = "Tags") -> dict[str, str]:
    """Convert a list of Key and Value, which most services return, to a mapping."""
    return {
        tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value", "")) for tag in raw.get(key) or ()
    }


def when(value: Any) -> datetime | None:
    """Convert a datetime, a text or milliseconds since 1970, depending on the service."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, UTC)
    return datetime.fromisoformat(value) if isinstance(value, str) and value else None


def _age(made: datetime, now: datetime | None) -> str:
    return age(made, now)
