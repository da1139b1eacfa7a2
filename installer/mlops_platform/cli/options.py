"""Groups of commands, their options and arguments, and completion.

An option stands here if several commands have it, or if it needs more than one line.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlops_platform.base.pod import PROJECT_VARIABLE
from mlops_platform.console import Output


class Only(StrEnum):
    """Parts of `up` that can run alone."""

    CLUSTER = "cluster"


def group(about: str) -> typer.Typer:
    """A group of commands; without a command it shows its help."""
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)


def complete_environment(incomplete: str) -> list[str]:
    from mlops_platform.environment.file import available
    from mlops_platform.run.open import shipped_environments

    return [name for name in available(shipped_environments()) if name.startswith(incomplete)]


def complete_component(incomplete: str) -> list[str]:
    from mlops_platform.base.paths import Paths
    from mlops_platform.catalogue.read import own_folder

    folders = (Paths.default().assets / "helm-values", own_folder())
    found = [file.parent.name for each in folders if each for file in each.glob("*/component.yaml")]
    return sorted(name for name in found if name.startswith(incomplete))


Env = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        envvar="MLOPS_PLATFORM_ENV",
        autocompletion=complete_environment,
        help="Environment: a name or a file.",
    ),
]
Out = Annotated[Output, typer.Option("--output", "-o", help="json: one JSON object on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print every observation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Region = Annotated[
    str,
    typer.Option(
        "--region", help="Region of an environment made elsewhere; default: that of the cloud's tools."
    ),
]
AllowDataLoss = Annotated[
    bool,
    typer.Option(
        "--allow-data-loss", "--delete-data", help="Also if data would be lost; --yes does not cover that."
    ),
]
Component = Annotated[str, typer.Argument(autocompletion=complete_component, help="Name of a component.")]
Junit = Annotated[str, typer.Option("--junit", help="Also write the results as JUnit XML to this file.")]

EnvArgument = Annotated[str, typer.Argument(autocompletion=complete_environment)]

UserName = Annotated[str, typer.Argument(help="Login name.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", help="platform-admins, data-scientists or viewers; may be repeated."),
]

ProjectName = Annotated[
    str, typer.Argument(help="Name: 2 to 30 lower-case letters, digits, dashes; that of its namespace.")
]
ImportItems = Annotated[
    list[str] | None, typer.Argument(metavar="[KIND/NAME]...", help="Such as experiment/fraud, model/fraud.")
]
ExampleFolder = Annotated[
    Path | None, typer.Option("--to", help="The folder; default: the project's name and -example.")
]
Project = Annotated[str, typer.Option("--project", "-p", envvar=PROJECT_VARIABLE, help="Name of a project.")]
Members = Annotated[
    list[str] | None,
    typer.Option(
        "--member",
        "-m",
        help="GROUP:view, GROUP:edit, user/NAME:view or user/NAME:edit; may be repeated. "
        "Of an existing project: all members.",
    ),
]
Quota = Annotated[
    list[str] | None,
    typer.Option("--quota", help="Such as cpu=4,memory=8Gi,gpu=1,storage=50Gi,pods=50."),
]
KeepProjectData = Annotated[
    bool, typer.Option("--keep-data", help="Keep what components have of it: runs, models, data.")
]
DataKey = Annotated[str, typer.Argument(metavar="FILE|DIR", help="Name in the data: a file or a folder.")]
