"""Log groups and keys, whose leftover names would make another `up` fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import ENVIRONMENT_TAG
from mlops_platform.clusters.aws.teardown.sweeps.index import tagged
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, unless_gone, when

_KEY_DAYS = 7  # the shortest waiting period of KMS


def _log_groups(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Log groups in the tag index, and those of the cluster."""
    start = f"/aws/eks/{ownership.cluster}/"
    prefixes = {start} if ownership.cluster else set()
    for arn, _ in tagged(session, ownership.environment, "logs"):
        prefixes.add(arn.split(":", 6)[6].removesuffix(":*"))
    seen: set[str] = set()
    for prefix in sorted(prefixes):
        for raw in session.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=prefix):
            name = raw["logGroupName"]
            if name not in seen and (name == prefix or prefix == start):
                seen.add(name)
                with unless_gone():
                    yield _log_group(session, ownership, raw)


def _log_group(session: Session, ownership: Ownership, raw: Any) -> Resource:
    arn = raw["arn"].removesuffix(":*")
    tags = dict(session.client("logs").list_tags_for_resource(resourceArn=arn)["tags"])
    made = when(raw["creationTime"])
    ours = raw["logGroupName"] == control_plane_log(ownership.cluster)
    if ours and not tags and made and ownership.since and made >= ownership.since:
        # EKS continues to write after Terraform has deleted the group, and recreates it without a tag
        # (terraform-aws-modules/terraform-aws-eks#920). Only EKS writes there, the cluster's name is unique,
        # and the record has its start: a group created later is ours.
        tags = {ENVIRONMENT_TAG: ownership.environment}
    size = raw.get("storedBytes", 0)
    return Resource(raw["logGroupName"], tags, f"{size / 1e6:.0f} MB" if size >= 1e6 else "", made=made)


def control_plane_log(cluster: str) -> str:
    return f"/aws/eks/{cluster}/cluster"


def _delete_log_group(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("logs").delete_log_group(logGroupName=found.id)


def _keys(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Keys: a key is only scheduled for deletion, and then costs nothing and is no leftover."""
    client = session.client("kms")
    ids = {arn.rsplit("/", 1)[-1] for arn, _ in tagged(session, ownership.environment, "kms")}
    ids |= {raw["TargetKeyId"] for raw in _our_aliases(session, ownership)}
    for key in sorted(ids):
        with unless_gone():
            raw, tags = client.describe_key(KeyId=key)["KeyMetadata"], key_tags(session, key)
            ends = raw.get("DeletionDate")
            gone_on = f"AWS deletes it on {ends:%Y-%m-%d}" if ends else ""
            yield Resource(key, tags, raw.get("Description", ""), made=raw["CreationDate"], scheduled=gone_on)


def _our_aliases(session: Session, ownership: Ownership) -> Iterator[Any]:
    for raw in session.pages("kms", "list_aliases", "Aliases"):
        if raw["AliasName"].startswith(f"alias/mlops-{ownership.environment}") and raw.get("TargetKeyId"):
            yield raw


def key_tags(session: Session, key: str) -> dict[str, str]:
    """A key's tags, which KMS returns in its own format. Raises botocore's errors."""
    found = session.client("kms").list_resource_tags(KeyId=key)["Tags"]
    return {tag["TagKey"]: tag["TagValue"] for tag in found}


def _aliases(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Aliases have no tags: their owner is that of the key."""
    for raw in _our_aliases(session, ownership):
        with unless_gone():
            tags = key_tags(session, raw["TargetKeyId"])
            yield Resource(raw["AliasName"], tags, f"of key {raw['TargetKeyId']}")


def _delete_key(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("kms").schedule_key_deletion(KeyId=found.id, PendingWindowInDays=_KEY_DAYS)


def _delete_alias(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("kms").delete_alias(AliasName=found.id)


LOG_GROUPS = Kind("log group", _log_groups, _delete_log_group, "logs:log-group:")
ALIASES = Kind("key alias", _aliases, _delete_alias)
KEYS = Kind("key", _keys, _delete_key, "kms:key/")
