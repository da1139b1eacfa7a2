"""Smoke test of the object store: objects are stored, foreign access is rejected."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import sys
from typing import Any

import accounts
import boto3
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from minio import MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, S3Error
from probes import Probes, patiently

WHERE = {"host": os.environ["HOST"], "port": os.environ["PORT"]}
ADMIN = accounts.read(accounts.ADMIN)
MIB = 2**20
DENIED = "AccessDenied"


def account(name: str) -> dict[str, str]:
    """A component's account, with a password of this run."""
    made = {**WHERE, "user": name, "name": name, "password": secrets.token_urlsafe(24)}
    not_yet = (urllib3.exceptions.HTTPError, S3Error, MinioAdminException)
    patiently(lambda: accounts.ensure(ADMIN, made), *not_yet)
    return made


def client(who: dict[str, str], **options: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://{WHERE['host']}:{WHERE['port']}",
        region_name="us-east-1",
        aws_access_key_id=who["user"],
        aws_secret_access_key=who["password"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **options),
    )


def payload(size: int) -> bytes:
    return random.Random(os.environ["RUN"]).randbytes(size)  # noqa: S311 - bytes that differ from other runs


def probe(probes: Probes) -> None:
    mine, other = account("smoke"), account("smoke-other")
    try:
        _uses(probes, mine)
        _keys(probes, mine)
        _rights(probes, mine, other)
    finally:
        killed = {**WHERE, "user": "survives", "name": "survives"}  # a run may have been, before its `read`
        for made in (mine, other, killed):
            accounts.remove(ADMIN, made)


def _uses(probes: Probes, mine: dict[str, str]) -> None:
    s3, bucket, body = client(mine), mine["name"], payload(12 * MIB)
    with probes.works("an object is uploaded in parts"):
        from io import BytesIO

        parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        s3.upload_fileobj(BytesIO(body), bucket, "large", Config=parts)
        assert s3.head_object(Bucket=bucket, Key="large")["ETag"].endswith('-3"')
    with probes.works("it is downloaded with the same checksum"):
        found = s3.get_object(Bucket=bucket, Key="large")["Body"].read()
        assert hashlib.sha256(found).digest() == hashlib.sha256(body).digest()
    with probes.works("a range of it is downloaded"):
        found = s3.get_object(Bucket=bucket, Key="large", Range="bytes=6000000-6000099")["Body"].read()
        assert found == body[6_000_000:6_000_100]
    with probes.works("a presigned link works without keys"):
        found = urllib3.request("GET", _link(s3, bucket, "large"), retries=False)
        assert found.status == 200 and found.data == body, found.status
    with probes.works("a damaged upload is detected"):
        try:
            s3.put_object(Bucket=bucket, Key="damaged", Body=b"some", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "BadDigest", error
        else:
            raise AssertionError("it was taken")
    with probes.works("a deleted object is gone"):
        s3.put_object(Bucket=bucket, Key="small", Body=b"x")
        s3.delete_object(Bucket=bucket, Key="small")
        listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
        assert [o["Key"] for o in listed] == ["large"], listed
    with probes.works("an aborted upload leaves no part"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key="aborted")["UploadId"]
        s3.upload_part(Bucket=bucket, Key="aborted", UploadId=upload, PartNumber=1, Body=b"x")
        s3.abort_multipart_upload(Bucket=bucket, Key="aborted", UploadId=upload)
        assert not s3.list_multipart_uploads(Bucket=bucket, Prefix="aborted").get("Uploads")
    with probes.works("a component lists only its own bucket"):
        names = [b["Name"] for b in s3.list_buckets()["Buckets"]]
        assert names == [bucket], names


def _link(s3: Any, bucket: str, key: str) -> str:
    link: str = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
    return link


def _keys(probes: Probes, mine: dict[str, str]) -> None:
    """Try wrong keys and no keys."""
    bucket = mine["name"]
    with probes.refused("unknown keys", ClientError, "InvalidAccessKeyId"):
        client({**mine, "user": "unknown"}).list_objects_v2(Bucket=bucket)
    with probes.refused("a wrong secret key", ClientError, "SignatureDoesNotMatch"):
        client({**mine, "password": "wrong-wrong-wrong"}).list_objects_v2(Bucket=bucket)
    with probes.refused("the administrator with a component's key", ClientError, "SignatureDoesNotMatch"):
        client({**mine, "user": ADMIN["user"]}).list_objects_v2(Bucket=bucket)
    with probes.refused("no keys", ClientError, DENIED):
        client(mine, signature_version=UNSIGNED).get_object(Bucket=bucket, Key="large")
    with probes.refused("a presigned link changed to another object", ClientError, "403"):
        link = _link(client(mine), bucket, "small").replace("/small?", "/large?")
        status = urllib3.request("GET", link, retries=False).status
        if status != 200:
            raise ClientError({"Error": {"Code": str(status)}}, "GetObject")


def _rights(probes: Probes, mine: dict[str, str], other: dict[str, str]) -> None:
    """Try a component's keys outside its bucket."""
    s3, foreign = client(mine), other["name"]
    client(other).put_object(Bucket=foreign, Key="theirs", Body=b"x")
    with probes.refused("reading another component's bucket", ClientError, DENIED):
        s3.get_object(Bucket=foreign, Key="theirs")
    with probes.refused("listing another component's bucket", ClientError, DENIED):
        s3.list_objects_v2(Bucket=foreign)
    with probes.refused("writing to another component's bucket", ClientError, DENIED):
        s3.put_object(Bucket=foreign, Key="mine", Body=b"x")
    with probes.refused("deleting in another component's bucket", ClientError, DENIED):
        s3.delete_object(Bucket=foreign, Key="theirs")
    with probes.refused("creating a bucket", ClientError, DENIED):
        s3.create_bucket(Bucket="smoke-more")
    with probes.refused("making the bucket public", ClientError, DENIED):
        s3.put_bucket_policy(Bucket=mine["name"], Policy='{"Version": "2012-10-17", "Statement": []}')
    with probes.refused("administering the store", MinioAdminException, DENIED):
        keys = StaticProvider(mine["user"], mine["password"])
        MinioAdmin(endpoint=f"{WHERE['host']}:{WHERE['port']}", credentials=keys, secure=False).user_list()


def write(probes: Probes) -> None:
    with probes.works("an object is acknowledged, then the pod is deleted"):
        mine = account("survives")
        client(mine).put_object(Bucket=mine["name"], Key="kept", Body=payload(MIB))


def read(probes: Probes) -> None:
    mine = account("survives")
    try:
        with probes.works("data survives the deletion of the pod"):
            found = client(mine).get_object(Bucket=mine["name"], Key="kept")["Body"].read()
            assert found == payload(MIB)
    finally:
        accounts.remove(ADMIN, mine)


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe, "write": write, "read": read}[act](running)
    running.end()
