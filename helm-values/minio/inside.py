"""Smoke test inside a project: the token of its account opens the project's data, and no other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from probes import Probes, patiently

URL = f"http://{os.environ['HOST']}:{os.environ['PORT']}"
MINE, OTHER = (f"project-{os.environ[name]}" for name in ("PROJECT", "OTHER"))
TOKEN = Path("/run/secrets/token/token")
CONFIG = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
ROLE = "arn:aws:iam::000000000000:role/project"


def credentials() -> dict[str, str]:
    config = CONFIG.merge(Config(signature_version=UNSIGNED))
    sts = boto3.client("sts", endpoint_url=URL, region_name="us-east-1", config=config)
    made: dict[str, str] = sts.assume_role_with_web_identity(
        RoleArn=ROLE, RoleSessionName="smoke", WebIdentityToken=TOKEN.read_text()
    )["Credentials"]
    return made


def client(keys: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        config=CONFIG,
    )


def other_identity(request: Any, **_: object) -> None:
    """Headers that MinIO's conditions would read in place of the token and the parameters."""
    account = f"system:serviceaccount:{os.environ['OTHER']}:trainer"
    request.headers.update({"Sub": account, "Username": "root-of-minio"})


def main() -> None:
    probes = Probes()
    # The pod is new: the first connection may precede the rules on the node.
    s3 = client(patiently(credentials, Exception))
    with probes.works("the account writes and reads the project's data"):
        s3.put_object(Bucket=MINE, Key="smoke", Body=b"x")
        assert s3.get_object(Bucket=MINE, Key="smoke")["Body"].read() == b"x"
        assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [MINE]
    with probes.refused("reading data of the other project", ClientError, "AccessDenied"):
        s3.get_object(Bucket=OTHER, Key="smoke")
    with probes.refused("listing data of the other project", ClientError, "AccessDenied"):
        s3.list_objects_v2(Bucket=OTHER)
    with probes.refused("writing data of the other project", ClientError, "AccessDenied"):
        s3.put_object(Bucket=OTHER, Key="planted", Body=b"x")
    with probes.refused("copying data of the other project", ClientError, "AccessDenied"):
        s3.copy_object(Bucket=MINE, Key="copy", CopySource=f"{OTHER}/smoke")
    s3.meta.events.register("before-send.s3", other_identity)
    with probes.refused(
        "data of the other project, with headers of its account", ClientError, "AccessDenied"
    ):
        s3.list_objects_v2(Bucket=OTHER)
    probes.end()


if __name__ == "__main__":
    main()
