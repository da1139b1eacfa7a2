"""A fake AWS on loopback: moto, with missing parts added (eks.py), and a separate account for each test.

Differences between moto 5.2.5 and AWS, found by running the real provider against it:
see docs/aws.md, "The cloud of the tests".
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mlops_platform.adapters.process import spawn
from mlops_platform.adapters.wait import Pending, wait_until

from tests import ROOT

REGION = "eu-central-1"
_ROOT = ROOT
_NUMBERS = itertools.count(1)
_START_SECONDS = 120


@dataclass(frozen=True)
class Account:
    """One account of the cloud, with the keys of a user in it."""

    url: str
    id: str
    key: str
    secret: str
    region: str = REGION

    def environment(self) -> Mapping[str, str]:
        """Environment variables that point every AWS tool, and Terraform's provider, to this account only."""
        nowhere = "/nonexistent"
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "3",
        }

    def client(self, service: str, region: str = "") -> Any:
        """A client for tests, independent of the tested code."""
        return _client(self, service, region or self.region)


@cache
def _client(account: Account, service: str, region: str) -> Any:
    """Cached: making a client takes as long as ten calls."""
    import boto3

    return boto3.client(
        service,
        region_name=region,
        endpoint_url=account.url,
        aws_access_key_id=account.key,
        aws_secret_access_key=account.secret,
    )


@dataclass(frozen=True)
class Cloud:
    """A running server. Its accounts share only the names of buckets, as in AWS."""

    url: str

    def account(self) -> Account:
        """A new account. Its id is invented: only this server knows it."""
        import boto3

        number = f"{900000000000 + os.getpid() * 1000 + next(_NUMBERS):012d}"
        iam = boto3.client(
            "iam",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="first",
            aws_secret_access_key="first",
        )

        def as_account(params: dict[str, Any], **_: object) -> None:
            params["headers"]["x-moto-account-id"] = number

        iam.meta.events.register("before-call.iam", as_account)
        iam.create_user(UserName="tester")
        made = iam.create_access_key(UserName="tester")["AccessKey"]
        return Account(self.url, number, made["AccessKeyId"], made["SecretAccessKey"])


@contextmanager
def running(folder: Path) -> Iterator[Cloud]:
    """A server on a free loopback port, with its log in `folder`; it dies with this process."""
    log, port_file = folder / "cloud.log", folder / "cloud.port"
    server = spawn(
        [sys.executable, "-m", "tests.fakes.aws", str(port_file)],
        stdout=log,
        cwd=_ROOT,
        env={"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},  # AWS's own policies
    )
    try:

        def answer() -> str | Pending:
            if server.poll() is not None:
                raise AssertionError(f"the cloud did not start: {log.read_text()[-2000:]}")
            return port_file.read_text() if port_file.exists() else Pending("starting")

        yield Cloud(f"http://127.0.0.1:{wait_until('the cloud', answer, seconds=_START_SECONDS)}")
    finally:
        server.kill()
        server.wait()
