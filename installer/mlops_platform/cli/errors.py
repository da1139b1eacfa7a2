"""The end of every command: the one place that maps errors to exit codes."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable

import typer

from mlops_platform.base.errors import Interrupted, PlatformError
from mlops_platform.base.pod import require_available
from mlops_platform.console import Console


def end(console: Console, act: Callable[[Console], int]) -> None:
    """Run a command and exit with its status."""

    def checked(console: Console) -> int:
        require_available(console.command)
        return act(console)

    raise typer.Exit(guarded(console, checked))


def guarded(console: Console, act: Callable[[Console], int]) -> int:
    """Run a command. Returns its exit code; an error is printed."""
    try:
        return act(console)
    except PlatformError as error:
        return console.error(error)
    except KeyboardInterrupt:
        return console.error(Interrupted("interrupted"))
    except BrokenPipeError:
        # The reader is gone, such as `head`. Otherwise Python reports the broken pipe again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - a bug: one line, with -v the traceback
        return console.bug(traceback.format_exc(), f"{type(error).__name__}: {error}")
