"""Data outside of the cluster: buckets, databases and their snapshots, images."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_platform.clusters.aws.ownership import Ownership
from mlops_platform.clusters.aws.session import Session
from mlops_platform.clusters.aws.state.bucket import StateBucket, empty
from mlops_platform.clusters.aws.teardown.sweeps.index import worth_asking
from mlops_platform.clusters.aws.teardown.sweeps.kind import Kind, Resource, tags_of, unless_gone, when

_DATABASE_SECONDS = 1200


def _buckets(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Buckets in the tag index, and those with our prefix, with the tags of the bucket itself.

    Not the state bucket, which StateBucket removes last.
    """
    s3, state = session.client("s3"), StateBucket(session, ownership.environment).name
    ours = worth_asking(session, ownership, "s3")
    for raw in s3.list_buckets()["Buckets"]:
        name = raw["Name"]
        if name == state or not ours(name):
            continue
        with unless_gone():  # also NoSuchTagSet: a bucket without tags is not ours
            tags = tags_of(s3.get_bucket_tagging(Bucket=name), "TagSet")
            versions = s3.list_object_versions(Bucket=name, MaxKeys=1)
            about = "" if versions.get("Versions") or versions.get("DeleteMarkers") else "empty"
            yield Resource(name, tags, about, made=raw["CreationDate"])


def _delete_bucket(session: Session, found: Resource, ownership: Ownership) -> None:
    empty(session, found.id)
    session.client("s3").delete_bucket(Bucket=found.id)


def _databases(session: Session, ownership: Ownership) -> Iterator[Resource]:
    for raw in session.pages("rds", "describe_db_instances", "DBInstances"):
        yield Resource(
            raw["DBInstanceIdentifier"],
            tags_of(raw, "TagList"),
            f"{raw['Engine']} {raw['DBInstanceClass']} {raw['AllocatedStorage']} GiB",
            raw.get("AvailabilityZone", ""),
            when(raw.get("InstanceCreateTime")),
            going=raw["DBInstanceStatus"] == "deleting",
        )


def _database_snapshots(session: Session, ownership: Ownership) -> Iterator[Resource]:
    """Manual snapshots; automated ones go with their database."""
    operation, key = "describe_db_snapshots", "DBSnapshots"
    for raw in session.pages("rds", operation, key, SnapshotType="manual"):
        yield Resource(
            raw["DBSnapshotIdentifier"],
            tags_of(raw, "TagList"),
            f"{raw['AllocatedStorage']} GiB of {raw['DBInstanceIdentifier']}",
            made=when(raw.get("SnapshotCreateTime")),
        )


def _database_subnets(session: Session, ownership: Ownership) -> Iterator[Resource]:
    client = session.client("rds")
    for raw in session.pages("rds", "describe_db_subnet_groups", "DBSubnetGroups"):
        with unless_gone():
            tags = tags_of(client.list_tags_for_resource(ResourceName=raw["DBSubnetGroupArn"]), "TagList")
            yield Resource(raw["DBSubnetGroupName"], tags)


def _delete_database(session: Session, found: Resource, ownership: Ownership) -> None:
    """Delete a database and its automated backups, which would cost further. The user has confirmed it."""
    client = session.client("rds")
    client.modify_db_instance(DBInstanceIdentifier=found.id, DeletionProtection=False, ApplyImmediately=True)
    client.delete_db_instance(
        DBInstanceIdentifier=found.id, SkipFinalSnapshot=True, DeleteAutomatedBackups=True
    )


def _delete_database_snapshot(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("rds").delete_db_snapshot(DBSnapshotIdentifier=found.id)


def _delete_database_subnets(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("rds").delete_db_subnet_group(DBSubnetGroupName=found.id)


def _repositories(session: Session, ownership: Ownership) -> Iterator[Resource]:
    client, ours = session.client("ecr"), worth_asking(session, ownership, "ecr:repository")
    for raw in session.pages("ecr", "describe_repositories", "repositories"):
        if ours(raw["repositoryName"]):
            with unless_gone():
                tags = tags_of(client.list_tags_for_resource(resourceArn=raw["repositoryArn"]), "tags")
                yield Resource(raw["repositoryName"], tags, made=when(raw.get("createdAt")))


def _delete_repository(session: Session, found: Resource, ownership: Ownership) -> None:
    session.client("ecr").delete_repository(repositoryName=found.id, force=True)


BUCKETS = Kind("bucket", _buckets, _delete_bucket, "s3:")
DATABASES = Kind("database", _databases, _delete_database, "rds:db:", seconds=_DATABASE_SECONDS)
DATABASE_SNAPSHOTS = Kind(
    "database snapshot", _database_snapshots, _delete_database_snapshot, "rds:snapshot:"
)
DATABASE_SUBNETS = Kind("database subnet group", _database_subnets, _delete_database_subnets, "rds:subgrp:")
REPOSITORIES = Kind("image repository", _repositories, _delete_repository, "ecr:repository/")
