"""The command line: all commands, and errors of the command line itself."""

from __future__ import annotations

import re
import sys

import typer

from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.cli import everyday, groups
from mlops_platform.cli.errors import guarded
from mlops_platform.console import Console, Output

__all__ = ["app", "guarded", "main"]

app = typer.Typer(
    name="mlops-platform",
    help="Installs, verifies and removes an MLOps platform on Kubernetes.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing help with rich costs a fifth of a second
)
app.add_typer(everyday.app)
app.add_typer(groups.app)


def main() -> None:
    """Run the console script. An error of the command line looks like every other error."""
    raise SystemExit(guarded(Console("", output=_asked_output()), _typer))


def _typer(_: Console) -> int:
    """Run Typer. Its exceptions are private, so they are recognized by their attributes."""
    try:
        return int(app(standalone_mode=False) or 0)
    except Exception as error:
        said = getattr(error, "format_message", None)
        if said is None:
            raise
        place = getattr(getattr(error, "ctx", None), "command_path", "mlops-platform")
        text = said()
        if not text:  # no arguments: the help has been printed
            return int(Exit.USAGE)
        raise UsageError(text[:1].lower() + text[1:].rstrip("."), command=f"{place} --help") from error


def _asked_output() -> Output:
    """The output format that a command line asks for which Typer could not parse."""
    words = " ".join(sys.argv[1:])
    return Output.JSON if re.search(r"(--output[ =]|-o ?)json\b", words) else Output.TEXT
