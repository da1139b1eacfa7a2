"""Smoke test of credentials for tokens: those of this Job's account open one bucket, and nothing else."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import boto3
import projects
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from minio import MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException
from probes import Probes

MINE, OTHER = "smoke-token", "smoke-token-other"
TOKEN = Path("/run/secrets/token/token")
DENIED = "AccessDenied"
CONFIG = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


def client(service: str, store: projects.Store, keys: dict[str, str] | None = None) -> Any:
    signed = (
        {}
        if keys is None
        else {
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys["SessionToken"],
        }
    )
    config = CONFIG if keys else CONFIG.merge(Config(signature_version=UNSIGNED))
    url = f"http://{store.endpoint}"
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", config=config, **signed)


def exchange(store: projects.Store, token: str, **options: Any) -> dict[str, str]:
    role = "arn:aws:iam::000000000000:role/project"  # AWS SDKs send one; MinIO takes the policy by the token
    given = {"RoleArn": role, "RoleSessionName": "smoke", "WebIdentityToken": token, **options}
    found: dict[str, str] = client("sts", store).assume_role_with_web_identity(**given)["Credentials"]
    return found


def probe(probes: Probes) -> None:
    store, token = projects.Store(os.environ["HOST"], os.environ["PORT"]), TOKEN.read_text()
    if not store.exchanges_tokens():
        with probes.refused(
            "a token, as no project has been made", ClientError, "does not exist", "invalid ARN"
        ):
            exchange(store, token)
        return
    name = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["sub"]
    buckets = [b for b in (MINE, OTHER) if not store.s3.bucket_exists(bucket_name=b)]
    for bucket in buckets:
        store.s3.make_bucket(bucket_name=bucket)
    with probes.refused(
        "the token of an account without a policy", ClientError, "None of the given policies"
    ):
        exchange(store, token)
    store.management.policy_add(name, policy=projects.policy(MINE, writes=True))
    keys: dict[str, str] = {}
    try:
        with probes.works("a token is exchanged for credentials that write one bucket"):
            keys.update(exchange(store, token))
            s3 = client("s3", store, keys)
            s3.put_object(Bucket=MINE, Key="own", Body=b"x")
            assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [MINE]
        _refused(probes, store, token, keys)
    finally:
        store.management.policy_remove(name)
        store.s3.remove_object(bucket_name=MINE, object_name="own")
    with probes.refused("its credentials once the policy is removed", ClientError, DENIED):
        client("s3", store, keys).list_objects_v2(Bucket=MINE)
    for bucket in (MINE, OTHER):
        store.s3.remove_bucket(bucket_name=bucket)


def _refused(probes: Probes, store: projects.Store, token: str, keys: dict[str, str]) -> None:
    s3 = client("s3", store, keys)
    with probes.refused("another bucket", ClientError, DENIED):
        s3.list_objects_v2(Bucket=OTHER)
    with probes.refused("copying from another bucket", ClientError, DENIED):
        s3.copy_object(Bucket=MINE, Key="copy", CopySource=f"{OTHER}/theirs")
    spoofed = client("s3", store, keys)
    spoofed.meta.events.register("before-send.s3", _other_identity)
    with probes.refused("another bucket with headers that name another account", ClientError, DENIED):
        spoofed.list_objects_v2(Bucket=OTHER)
    with probes.refused("keys without an end", MinioAdminException, DENIED):
        own = StaticProvider(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        MinioAdmin(endpoint=store.endpoint, credentials=own, secure=False).add_service_account(
            access_key="smoke-endless", secret_key=secrets.token_urlsafe(24)
        )
    with probes.refused("credentials of 12 hours", ClientError, "not have enough permission"):
        exchange(store, token, DurationSeconds=43200)
    with probes.refused("a token with a changed signature", ClientError, "verification error"):
        exchange(store, token[:-8] + "AAAAAAAA")


def _other_identity(request: Any, **_: object) -> None:
    request.headers.update({"Sub": "system:serviceaccount:other:trainer", "Username": "root-of-minio"})


if __name__ == "__main__":
    running = Probes()
    for act in sys.argv[1:]:
        {"probe": probe}[act](running)
    running.end()
