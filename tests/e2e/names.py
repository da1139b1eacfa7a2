"""Resolves names below localhost in Python, as browsers do; libc may not (RFC 6761)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _resolver(getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return getaddrinfo("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)

    return resolve


def resolve_localhost() -> None:
    """Resolve the names for the rest of the process."""
    socket.getaddrinfo = _resolver(socket.getaddrinfo)


@contextmanager
def local_names() -> Iterator[None]:
    """Resolve the names inside the block."""
    before = socket.getaddrinfo
    resolve_localhost()
    try:
        yield
    finally:
        socket.getaddrinfo = before
