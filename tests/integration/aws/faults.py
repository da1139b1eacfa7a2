"""Errors and answers that moto never returns, through botocore's hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError
from mlops_platform.clusters.aws.session import Session

Params = dict[str, Any]


@contextmanager
def refusing(
    session: Session,
    service: str,
    operation: str,
    code: str,
    *,
    only: Callable[[Params], bool] = lambda _: True,
    times: int = 1_000,
) -> Iterator[list[Params]]:
    """Let the first `times` calls of such as ('kms', 'DescribeKey') raise an error; yields these calls."""
    asked: list[Params] = []

    def fail(params: Params, **_: Any) -> None:
        if only(params) and len(asked) < times:
            asked.append(params)
            raise ClientError({"Error": {"Code": code, "Message": "a message of AWS"}}, operation)

    with _hooked(session, service, f"before-parameter-build.{{}}.{operation}", fail):
        yield asked


@contextmanager
def answering(
    session: Session, service: str, operation: str, change: Callable[[dict[str, Any]], object]
) -> Iterator[None]:
    """Change the answer of a call before it is returned."""

    def changed(parsed: dict[str, Any], **_: Any) -> None:
        change(parsed)

    with _hooked(session, service, f"after-call.{{}}.{operation}", changed):
        yield


@contextmanager
def _hooked(session: Session, service: str, event: str, act: Callable[..., None]) -> Iterator[None]:
    client = session.client(service)
    name = event.format(client.meta.service_model.service_id.hyphenize())
    client.meta.events.register(name, act)
    try:
        yield
    finally:
        client.meta.events.unregister(name, act)
