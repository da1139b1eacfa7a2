"""The error of Vault."""

from __future__ import annotations

from mlops_platform.base.errors import StepError

_DOWN = frozenset({0, 429, 500, 502, 503})


class VaultError(StepError):
    """A request that Vault refused, or did not answer (status 0). `why` is its message, without values."""

    def __init__(self, what: str, *, status: int, why: str, hint: str = "", command: str = "") -> None:
        super().__init__(what, why=why, hint=hint, command=command, transient=status in _DOWN)
        self.status = status
