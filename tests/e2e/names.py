"""Owns names below localhost in Python: browsers take them for this machine, libc may not (RFC 6761)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _led(known: Callable[..., Any]) -> Callable[..., Any]:
    def look(host: Any, *rest: Any, **more: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)

    return look


def known_here() -> None:
    """For the rest of a process."""
    socket.getaddrinfo = _led(socket.getaddrinfo)


@contextmanager
def known() -> Iterator[None]:
    """For as long as the block runs."""
    before = socket.getaddrinfo
    known_here()
    try:
        yield
    finally:
        socket.getaddrinfo = before
