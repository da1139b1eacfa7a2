"""Owns the way to the cloud's API: region, endpoint and credentials from where its own tools take them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from mlops_platform.base.errors import PreflightError, StepError

_ABSENT = ("NotFound", "NoSuch", "DoesNotExist", "404")  # "404" is all that an answer without a body can say
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 30, 6


@dataclass(frozen=True)
class Caller:
    """Who we are: the account, and the ARN of the user or role."""

    account: str
    arn: str

    @property
    def name(self) -> str:
        """'alice' of arn:aws:iam::1:user/alice and of arn:aws:sts::1:assumed-role/admin/alice."""
        return self.arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


class Session:
    """Clients of one region, made on first use and shared; thread-safe.

    Credentials, profile and AWS_ENDPOINT_URL* are taken from the environment and ~/.aws as every AWS
    tool does, and so does Terraform's provider: both always speak to the same cloud.
    """

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def client(self, service: str) -> Any:
        """A client of botocore, as boto3's are. Its calls raise botocore's errors: see `asking`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._boto.create_client(
                    service, region_name=self.region, config=self._config()
                )
            return self._clients[service]

    def pages(self, service: str, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
        """Every item under `key` of every page of an operation, such as ('ec2', 'describe_vpcs', 'Vpcs')."""
        for page in self.client(service).get_paginator(operation).paginate(**arguments):
            yield from page.get(key, ())

    def ask(self, service: str, operation: str, **arguments: Any) -> Any:
        """The answer; None when there is no such thing. Raises as `asking` does."""
        from botocore import xform_name
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
        """Asked once. Raises PreflightError without credentials that work."""
        with asking("sts get-caller-identity"):
            said = self.client("sts").get_caller_identity()
        return Caller(said["Account"], said["Arn"])

    @property
    def account(self) -> str:
        return self.caller.account

    @property
    def asked(self) -> str:
        """The account if it has been asked for already, else ''; asks nobody."""
        caller: Caller | None = self.__dict__.get("caller")
        return caller.account if caller else ""

    def endpoint(self, service: str) -> str:
        """The URL the client of a service speaks to."""
        return str(self.client(service).meta.endpoint_url)

    @cached_property
    def _boto(self) -> Any:
        """Without boto3 around it, of which nothing is used and which takes as long to import again."""
        import botocore.session

        session = botocore.session.get_session()
        session.register_component("data_loader", _models())
        return session

    @staticmethod
    def _config() -> Any:
        from botocore.config import Config

        return Config(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "max_attempts": _ATTEMPTS},
            s3={"addressing_style": "path" if elsewhere() else "auto"},
        )


@lru_cache
def _models() -> Any:
    """What botocore reads of each service takes longer than a call: once a process, for all sessions."""
    from botocore.loaders import create_loader

    return create_loader()


def session_of(region: str) -> Session:
    """One for a region and a login, with its clients: a command opens an environment more than once."""
    login = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _session(region, login)


@lru_cache
def _session(region: str, login: tuple[tuple[str, str], ...]) -> Session:  # noqa: ARG001 - only a key
    return Session(region)


def elsewhere() -> bool:
    """True when S3 is reached at an address of the user's: buckets are then no host names."""
    return bool(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))


def code_of(error: Exception) -> str:
    """'NoSuchBucket' of a ClientError; '' of any other error."""
    response: Any = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def absent(error: Exception) -> bool:
    """An error that says: there is no such thing (any more)."""
    return any(word in code_of(error) for word in _ABSENT)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turns what botocore raises into our errors. `what` is the call as the AWS CLI spells it.

    Raises PreflightError for credentials that are missing or refused, StepError for everything else.
    """
    from botocore import exceptions
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
        hint = "docs/aws.md lists the permissions that are needed" if denied else ""
        raise StepError(f"aws {what}: {code}", why=str(error), hint=hint, command=f"aws {what}") from error
    except BotoCoreError as error:
        raise StepError(
            f"aws {what}: no answer", why=str(error), hint="is the network there?", transient=True
        ) from error


def _no_credentials(what: str, why: str) -> PreflightError:
    return PreflightError(
        f"aws {what}: no credentials that work",
        why=why,
        hint="log in (`aws sso login`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        command="aws sts get-caller-identity",
    )


def where(region: str, account: str) -> str:
    """The location for the head of a screen; of the account only the first and last four digits."""
    return f"aws {region}" + (f" · account {account[:4]}…{account[-4:]}" if account else "")
