"""One bucket, or the objects of it below a prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from mlops_platform.base.errors import StepError

# AWS SDKs must send one; object stores that take the rights from the token ignore it.
ROLE = "arn:aws:iam::000000000000:role/project"
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 10, 120, 6
_ABSENT = ("404", "NoSuchKey", "NotFound")


@dataclass(frozen=True)
class Found:
    """An object of the bucket."""

    key: str
    size: int
    etag: str
    changed: datetime


class Bucket:
    """A bucket; with a `prefix`, keys are those below it. `connect` makes the S3 client."""

    def __init__(self, name: str, connect: Callable[[], Any], prefix: str = "") -> None:
        self.name, self.prefix = name, prefix
        self._connect = connect

    @property
    def uri(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    def key(self, key: str) -> str:
        """The whole key of an object."""
        return self.prefix + key

    def find(self, key: str) -> Found | None:
        """The object of this key. Raises StepError."""
        from botocore.exceptions import ClientError  # imported at use: start-up time

        with asking(f"look for {key}"):
            try:
                seen = self.client.head_object(Bucket=self.name, Key=self.key(key))
            except ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    return None
                raise
        return Found(key, seen["ContentLength"], seen["ETag"].strip('"'), seen["LastModified"])

    def list(self, prefix: str = "") -> Iterator[Found]:
        """The objects whose keys start with `prefix`, by key. Raises StepError."""
        listed = self.client.get_paginator("list_objects_v2")
        pages = listed.paginate(Bucket=self.name, Prefix=self.key(prefix))
        with asking(f"list {prefix or 'objects'}"):
            for page in pages:
                for each in page.get("Contents", ()):
                    key = each["Key"].removeprefix(self.prefix)
                    yield Found(key, each["Size"], each["ETag"].strip('"'), each["LastModified"])

    @cached_property
    def client(self) -> Any:
        """The S3 client. Its calls raise botocore's errors: see `asking`."""
        return self._connect()


def exchanging(url: str, region: str, token: Callable[[], str]) -> Any:
    """Return an S3 client with credentials that a token is exchanged for, again when one has ended."""
    from botocore.credentials import RefreshableCredentials  # imported at use: start-up time

    def exchange() -> dict[str, str]:
        return _exchange(url, region, token())

    session = _session()
    # It has no public way to take credentials that are refreshed.
    session._credentials = RefreshableCredentials.create_from_metadata(
        exchange(), refresh_using=exchange, method="assume-role-with-web-identity"
    )
    return session.create_client("s3", region_name=region, endpoint_url=url, config=_config())


def _exchange(url: str, region: str, token: str) -> dict[str, str]:
    from botocore import UNSIGNED  # imported at use: start-up time
    from botocore.config import Config

    config = _config().merge(Config(signature_version=UNSIGNED))
    sts = _session().create_client("sts", region_name=region, endpoint_url=url, config=config)
    with asking("exchange a token for credentials"):
        made = sts.assume_role_with_web_identity(
            RoleArn=ROLE, RoleSessionName="mlops-platform", WebIdentityToken=token
        )["Credentials"]
    return {
        "access_key": made["AccessKeyId"],
        "secret_key": made["SecretAccessKey"],
        "token": made["SessionToken"],
        "expiry_time": made["Expiration"].isoformat(),
    }


def _session() -> Any:
    import botocore.session  # imported at use: start-up time

    # Nothing of the user's own AWS configuration belongs here.
    return botocore.session.Session(session_vars={"profile": (None, None, None, None)})


def _config() -> Any:
    from botocore.config import Config  # imported at use: start-up time

    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
        s3={"addressing_style": "path"},
        proxies={},  # the other end of the URL is on this machine
        request_checksum_calculation="when_required",  # uploads send the MD5 of each part
        response_checksum_validation="when_required",
    )


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Convert botocore's errors to StepError. `what` is the action."""
    from botocore.exceptions import BotoCoreError, ClientError  # imported at use: start-up time
    from botocore.exceptions import HTTPClientError as Broken

    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        denied = said["Code"] == "AccessDenied"
        hint = "the project was removed, or belongs to another environment" if denied else ""
        raise StepError(f"{what}: {said['Code']}", why=str(said.get("Message", "")), hint=hint) from error
    except (BotoCoreError, Broken) as error:
        raise StepError(
            f"{what}: the object store does not answer", why=str(error), hint="run it again", transient=True
        ) from error
