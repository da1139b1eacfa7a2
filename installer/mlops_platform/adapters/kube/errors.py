"""Errors of the API server as KubeError, with the server's own message."""

from __future__ import annotations

import json

import urllib3

from mlops_platform.base.errors import StepError

_TRANSIENT = frozenset({0, 408, 429, 500, 502, 503, 504})
_UNREACHABLE = "run up again: it brings back a cluster that died"


class KubeError(StepError):
    """A request that the API server refused, or did not answer (status 0). `why` is the server's message."""

    def __init__(self, what: str, *, status: int, why: str, hint: str = "", command: str = "") -> None:
        super().__init__(what, why=why, hint=hint, command=command, transient=status in _TRANSIENT)
        self.status = status


def rejected(method: str, path: str, response: urllib3.BaseHTTPResponse) -> KubeError:
    """The error of an answer, from the Status object in it."""
    text = response.data.decode(errors="replace")
    try:
        status = json.loads(text)
        reason, message = status.get("reason") or response.reason, status.get("message") or text
    except (ValueError, AttributeError):  # not JSON, such as a proxy's page
        reason, message = response.reason, text
    return KubeError(
        f"{method} {path.partition('?')[0]}: {response.status} {reason or ''}".rstrip(),
        status=response.status,
        why=message.strip(),
    )


def unreachable(server: str, error: Exception, command: str) -> KubeError:
    """The error of a request that had no answer."""
    cause = str(getattr(error, "reason", None) or error)
    return KubeError(
        f"the API server at {server} does not answer",
        status=0,
        why=cause.rpartition("object at ")[2].partition(": ")[2] or cause,
        hint=_UNREACHABLE,
        command=command,
    )
