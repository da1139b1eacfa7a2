"""Transfers that continue when the same command runs again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlops_platform.base.errors import Interrupted, StepError


@contextmanager
def continued(command: str) -> Iterator[None]:
    """Add the command that continues a transfer to an error or interruption inside of the block."""
    hint = "run the same command again: it skips what is done"
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", hint=hint, command=command) from error
    except StepError as error:
        if error.transient:
            error.hint, error.command = hint, command
        raise
