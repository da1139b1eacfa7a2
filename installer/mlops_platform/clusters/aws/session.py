"""Access to the AWS API: region, endpoint and credentials from the same places as AWS tools."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from mlops_platform.base.errors import PreflightError, StepError

_ABSENT = ("NotFound", "NoSuch", "DoesNotExist", "404")  # "404" is the code of an answer without a body
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 30, 6


@dataclass(frozen=True)
class Caller:
    """The caller: the account, and the ARN of the user or role."""

    account: str
    arn: str

    @property
    def name(self) -> str:
        """Return 'alice' for arn:aws:iam::1:user/alice and of arn:aws:sts::1:assumed-role/admin/alice."""
        return self.arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


class Session:
    """Clients of one region, made on first use and shared; thread-safe.

    Credentials, profile and AWS_ENDPOINT_URL* come from the environment and ~/.aws, as for Terraform's
    provider: both always use the same cloud.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """A botocore client. Its calls raise botocore's errors: see `asking`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._boto.create_client(
                    service, region_name=self.region, config=self._config()
                )
            return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """The items under `key` of all pages of an operation, such as ('ec2', 'describe_vpcs', 'Vpcs')."""
        for page in self.client(service).get_paginator(operation).paginate(**arguments):
            yield from page.get(key, ())

    def ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """Call an operation; None when the object does not exist. Raises as `asking` does."""
        from botocore import xform_name  # imported at use: start-up time
        from botocore.exceptions import ClientError

        words = [f"--{xform_name(k, '-')} {v}" for k, v in arguments.items() if isinstance(v, str)]
        program = "s3api" if service == "s3" else service  # `aws s3` is another program
        with asking(" ".join([program, operation.replace("_", "-"), *words])):
            try:
                return getattr(self.client(service), operation)(**arguments)
            except ClientError as error:
                if absent(error):
                    return None
                raise

    @cached_property
    def caller(self) -> Caller:
        """The caller, asked once. Raises PreflightError without valid credentials."""
        with asking("sts get-caller-identity"):
            said = self.client("sts").get_caller_identity()
        return Caller(said["Account"], said["Arn"])

    @property
    def account(self) -> str:
        return self.caller.account

    @property
    def asked(self) -> str:
        """The account if it is already known, otherwise ''; sends no request."""
        caller: Caller | None = self.__dict__.get("caller")
        return caller.account if caller else ""

    def endpoint(self, service: str) -> str:
        """The URL of a service's endpoint."""
        return str(self.client(service).meta.endpoint_url)

    @cached_property
    def _boto(self) -> Any:
        """A botocore session, without boto3, which would double the import time."""
        import botocore.session  # imported at use: start-up time

        session = botocore.session.get_session()
        session.register_component("data_loader", _models())
        return session

    @staticmethod
    def _config() -> Any:
        from botocore.config import Config  # imported at use: start-up time

        return Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            s3={"addressing_style": "path" if elsewhere() else "auto"},
        )


@lru_cache
def _models() -> Any:
    """botocore's loader, shared by all sessions: reading a service's model takes longer than a call."""
    from botocore.loaders import create_loader  # imported at use: start-up time

    return create_loader()


def session_of(region: str) -> Session:
    """The shared session of a region and a login: a command opens an environment more than once."""
    login = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _session(region, login)


@lru_cache
def _session(region: str, login: tuple[tuple[str, str], ...]) -> Session:  # noqa: ARG001 - only a key
    return Session(region)


def elsewhere() -> bool:
    """True: S3 has a custom endpoint, so buckets are in the path and not in the host name."""
    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def code_of(error: Exception) -> str:
    """The code of a ClientError, such as 'NoSuchBucket'; '' for any other error."""
    response: Any = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def absent(error: Exception) -> bool:
    """True: the error says that the object does not exist."""
    return any(word in code_of(error) for word in _ABSENT)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Convert botocore's errors to ours. `what` is the call in the syntax of the AWS CLI.

    Raises PreflightError for missing or rejected credentials, StepError for everything else.
    """
    from botocore import exceptions  # imported at use: start-up time
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
        exceptions.ProfileNotFound,
    ) as error:
        raise _no_credentials(what, str(error)) from error
    except ClientError as error:
        code = code_of(error)
        if code in ("ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"):
            raise _no_credentials(what, str(error)) from error
        denied = "denied" in code.lower() or "Unauthorized" in code
        hint = "add the missing permission: docs/aws.md lists them" if denied else ""
        raise StepError(f"aws {what}: {code}", why=str(error), hint=hint, command=f"aws {what}") from error
    except BotoCoreError as error:
        raise StepError(
            f"aws {what}: no answer", why=str(error), hint="check the network connection", transient=True
        ) from error


def _no_credentials(what: str, why: str) -> PreflightError:
    return PreflightError(
        f"aws {what}: no valid credentials",
        why=why,
        hint="log in (`aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        command="aws sts get-caller-identity",
    )


def where(region: str, account: str) -> str:
    """The location for the head of a screen; of the account only the first and last four digits."""
    return f"aws {region}" + (f" · account {account[:4]}…{account[-4:]}" if account else "")
