"""Environments found by their tags: those with a record, and remains without one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from mlops_platform.base.errors import UsageError
from mlops_platform.base.yaml import parse
from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session, session_of
from mlops_platform.clusters.aws.state.bucket import (
    ENVIRONMENT_TAG,
    EXPIRES_TAG,
    OWNER_TAG,
    StateBucket,
    find,
)
from mlops_platform.clusters.aws.teardown.inventory import calling, look
from mlops_platform.clusters.aws.teardown.sweeps.index import tagged
from mlops_platform.clusters.leftovers import RemoteEnvironment

if TYPE_CHECKING:
    from mlops_platform.clusters.aws.state.bucket import Record


def remotes(region: str) -> list[RemoteEnvironment]:
    """List the environments of a region, '' for that of the AWS configuration. Changes nothing."""
    session = session_of(region or _usual_region())
    counts: dict[str, int] = {}
    with calling("resourcegroupstaggingapi"):
        for _, tags in tagged(session):
            counts[tags[ENVIRONMENT_TAG]] = counts.get(tags[ENVIRONMENT_TAG], 0) + 1
    recorded = {bucket.environment: bucket for bucket in find(session)}
    found = [_recorded(bucket, counts.get(name, 1)) for name, bucket in recorded.items()]
    found += _strays(session, counts.keys() - recorded.keys())
    return sorted(found, key=lambda each: each.name)


def _recorded(bucket: StateBucket, objects: int) -> RemoteEnvironment:
    record, tags = bucket.record(), bucket.tags()
    return RemoteEnvironment(
        name=bucket.environment,
        account=bucket.session.account,
        region=bucket.session.region,
        objects=objects,
        owner=record.owner if record else tags.get(OWNER_TAG, ""),
        made=record.made_at if record else "",
        expires=_latest(record, tags.get(EXPIRES_TAG, "")),
        file=record.file if record else "",
        hourly=_hourly(record.file) if record else None,
    )


def _hourly(file: str) -> float | None:
    """The lowest price of a recorded environment, without disks; None for a file of another version."""
    from pydantic import ValidationError  # imported at use: start-up time

    from mlops_platform.clusters.aws.cost import AwsCost  # imported at use: start-up time
    from mlops_platform.clusters.aws.options import Options

    data = parse(file, "record").data
    try:
        options = Options.model_validate(data.get("cluster") if isinstance(data, dict) else None)
    except ValidationError:
        return None
    return AwsCost(options).bill(0).paid.least


def _latest(record: Record | None, tag: str) -> str:
    """The later expiry of record and tag: a killed run may have extended only one of them."""
    known = [text for text in (record.expires_at if record else "", tag) if text]
    return max(known, default="")


def _strays(session: Session, names: Collection[str]) -> Iterator[RemoteEnvironment]:
    """Environments without a record of which objects exist.

    The tag index alone would list every environment that was destroyed today, because it lags behind, and
    because a key is only scheduled for deletion.
    """
    for name in names:
        ownership = Ownership(name, "", frozenset(), None)
        left = [each for each in look(session, ownership) if not each.resource.scheduled]
        if left:
            yield RemoteEnvironment(name, session.account, session.region, len(left))


def _usual_region() -> str:
    import botocore.session  # imported at use: start-up time

    region = botocore.session.get_session().get_config_variable("region")
    if not region:
        raise UsageError("the region is unknown", hint="add --region: environments are listed by region")
    return str(region)
