"""Owns the error of the secret store."""

from __future__ import annotations

from mlops_platform.base.errors import StepError

_DOWN = frozenset({0, 429, 500, 502, 503})


class VaultError(StepError):
    """The store refused, or (status 0) did not answer. `why` is its own message; no values are in it."""

    def __init__(self, what: str, *, status: int, why: str, hint: str = "", command: str = "") -> None:
        super().__init__(what, why=why, hint=hint, command=command, transient=status in _DOWN)
        self.status = status
