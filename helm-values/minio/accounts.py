"""The bucket and user of a component: create, correct, remove.

The script creates the mounted account (`ensure`) or removes its predecessor (`retire`); the smoke test
imports it for its own accounts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.deleteobjects import DeleteObject
from minio.error import MinioAdminException, S3Error

ADMIN, ACCOUNT = Path("/run/secrets/admin"), Path("/run/secrets/account")
OLD = Path("/run/secrets/old")  # what is to be refused


def read(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir() if not file.name.startswith(".")}


def _policy(bucket: str) -> dict[str, Any]:
    """A policy: all actions in one bucket; no other bucket is visible."""
    on_bucket = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    on_objects = [
        *("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    ]
    statements = [
        {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
        {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _clients(admin: Mapping[str, str], account: Mapping[str, str]) -> tuple[Minio, MinioAdmin]:
    endpoint, keys = f"{account['host']}:{account['port']}", (admin["user"], admin["password"])
    store = Minio(endpoint, access_key=keys[0], secret_key=keys[1], secure=False)
    return store, MinioAdmin(endpoint=endpoint, credentials=StaticProvider(*keys), secure=False)


def ensure(admin: Mapping[str, str], account: Mapping[str, str]) -> None:
    """Create a bucket, and a user whose policy allows only that bucket."""
    if account["user"] == admin["user"]:
        raise SystemExit(f"{account['user']} is the store's own administrator, not a component's user")
    store, management = _clients(admin, account)
    try:
        store.make_bucket(bucket_name=account["name"])
    except S3Error as error:
        if error.code != "BucketAlreadyOwnedByYou":
            raise
    management.policy_add(account["user"], policy=_policy(account["name"]))
    management.user_add(account["user"], account["password"])
    management.policy_set(account["user"], user=account["user"])


def remove(admin: Mapping[str, str], account: Mapping[str, str]) -> None:
    """Remove the bucket with its objects, then the user, if they exist."""
    store, management = _clients(admin, account)
    bucket = account["name"]
    if store.bucket_exists(bucket_name=bucket):
        names = [DeleteObject(o.object_name) for o in store.list_objects(bucket_name=bucket, recursive=True)]
        failed = list(store.remove_objects(bucket_name=bucket, delete_object_list=names))
        if failed:
            raise SystemExit(f"{bucket}: {failed[0].message}")
        store.remove_bucket(bucket_name=bucket)
    for act in (management.user_remove, management.policy_remove):
        try:
            act(account["user"])
        except MinioAdminException as error:
            if "404" not in str(error):
                raise


def retire(admin: Mapping[str, str], account: Mapping[str, str], old: Mapping[str, str]) -> None:
    """Check the new user, remove the old one, and check that its keys are rejected."""
    _, management = _clients(admin, account)
    Minio(
        f"{account['host']}:{account['port']}",
        access_key=account["user"],
        secret_key=account["password"],
        secure=False,
    ).bucket_exists(bucket_name=account["name"])
    for act in (management.user_remove, management.policy_remove):
        try:
            act(old["user"])
        except MinioAdminException as error:
            if "404" not in str(error):
                raise
    refused(account, old, "InvalidAccessKeyId")


def refused(where: Mapping[str, str], old: Mapping[str, str], code: str) -> None:
    """Raise SystemExit if the old keys still work."""
    endpoint = f"{where['host']}:{where['port']}"
    client = Minio(endpoint, access_key=old["user"], secret_key=old["password"], secure=False)
    try:
        client.list_buckets()
    except S3Error as error:
        if error.code != code:
            raise
    else:
        raise SystemExit(f"the old keys of {old['user']} still open the store")


if __name__ == "__main__":
    act = sys.argv[1] if len(sys.argv) > 1 else "ensure"
    if act == "retire":
        retire(read(ADMIN), read(ACCOUNT), read(OLD))
    else:
        ensure(read(ADMIN), read(ACCOUNT))
