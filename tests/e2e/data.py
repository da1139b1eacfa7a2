"""S3 calls with the credentials that the object store gives for tokens of a project's accounts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import urllib3
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from mlops_platform.adapters.kube import Kube

AUDIENCE = "minio"
CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


@dataclass(frozen=True)
class DataStore:
    """The object store at the end of a port-forward."""

    kube: Kube
    url: str

    def token(
        self, namespace: str, account: str = "trainer", audience: str = AUDIENCE, *, seconds: int = 600
    ) -> str:
        return self.kube.token(namespace, account, audience, seconds=seconds)

    def exchange(self, token: str, **options: Any) -> dict[str, Any]:
        """Temporary credentials, as an AWS SDK asks for them. Raises ClientError."""
        sts = boto3.client(
            "sts",
            endpoint_url=self.url,
            region_name="us-east-1",
            config=CONFIG.merge(Config(signature_version=UNSIGNED)),
        )
        found: dict[str, Any] = sts.assume_role_with_web_identity(
            RoleArn="arn:aws:iam::000000000000:role/project",
            RoleSessionName="test",
            WebIdentityToken=token,
            **options,
        )["Credentials"]
        return found

    def s3(self, keys: Mapping[str, str], headers: Mapping[str, str] = {}) -> Any:
        client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=CONFIG,
        )

        def add(request: AWSRequest, **_: object) -> None:
            request.headers.update(headers)

        client.meta.events.register("before-send.s3", add)
        return client


def outcome(s3: Any, call: str, arguments: Mapping[str, Any], *, presigned: bool = False) -> tuple[str, Any]:
    """'ok' and the answer, or the error code. Some calls answer 200 with an error inside."""
    if presigned:
        url = s3.generate_presigned_url(call, {k: v for k, v in arguments.items() if k != "Body"})
        method = "PUT" if call.startswith("put") else "GET"
        answer = urllib3.request(method, url, body=arguments.get("Body"), retries=False)
        code = answer.data.partition(b"<Code>")[2].partition(b"<")[0].decode()
        return ("ok", None) if answer.status == 200 else (code, None)
    try:
        answered = getattr(s3, call)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], None
    errors = answered.get("Errors") or []
    return (errors[0]["Code"] if errors else "ok"), answered


def forged(token: str, algorithm: str) -> str:
    """A token with the same claims, without a signature or with one by an empty key named like the client."""
    header = {"alg": algorithm, "typ": "JWT", "kid": AUDIENCE}
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    claims["exp"] = int(time.time()) + 600
    body = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.digest(b"", body.encode(), hashlib.sha256) if algorithm == "HS256" else b""
    return f"{body}.{_encoded(signature)}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
