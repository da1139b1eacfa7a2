"""The command line: all commands in one Typer app; usage errors look like every other error."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from mlops_platform import __version__
from mlops_platform.base.errors import Exit, UsageError
from mlops_platform.cli import everyday, groups
from mlops_platform.cli.errors import guarded
from mlops_platform.console import Console, Output

__all__ = ["app", "guarded", "main"]

ABOUT = """\
Bring up, test and take down an MLOps platform on Kubernetes.

\b
  mlops-platform up --env local    this machine, about two minutes once built
  mlops-platform env list          environments, shipped and yours
"""

app = typer.Typer(
    name="mlops-platform",
    help=ABOUT,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing help with rich costs a fifth of a second
)


def _print_version(asked: bool) -> None:
    if asked:
        Console("").text(f"mlops-platform {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself; the help text is ABOUT."""


app.add_typer(everyday.app)
app.add_typer(groups.app)


def main() -> None:
    """The console script. Prints usage errors like every other error."""
    raise SystemExit(guarded(Console("", output=_asked_output()), _typer))


def _typer(console: Console) -> int:
    """Run the app. Typer's exceptions are private, so they are recognized by their attributes."""
    try:
        return int(app(standalone_mode=False) or 0)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        place = getattr(getattr(error, "ctx", None), "command_path", "mlops-platform")
        text = message()
        if (
            type(error).__name__ == "NoArgsIsHelpError"
        ):  # the program or a group alone: its message is the help
            console.raw(f"{text}\n")
            return int(Exit.DONE)
        console.command = place.partition(" ")[2]
        raise UsageError(text[:1].lower() + text[1:].rstrip("."), command=f"{place} --help") from error


def _asked_output() -> Output:
    """The output format that a command line asks for which could not be parsed."""
    words = " ".join(sys.argv[1:])
    return Output.JSON if re.search(r"(--output[ =]|-o ?)json\b", words) else Output.TEXT
