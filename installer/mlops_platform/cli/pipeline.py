"""The commands of pipelines of projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, Verbose, group
from mlops_platform.console import Console, Output

app = group("Pipelines of projects: run.")


@app.command("run")
def pipeline_run(
    file: Annotated[Path, typer.Argument(help="Pipeline compiled by the SDK of KFP: YAML or JSON.")],
    project: Project,
    arg: Annotated[
        list[str] | None, typer.Option("--arg", "-a", help="NAME=VALUE, by the type of the input; repeat it.")
    ] = None,
    memory: Annotated[str, typer.Option("--memory", help="For all steps together, such as 4Gi.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Run a pipeline in a project, and follow its steps."""
    from mlops_platform.commands import pipeline as command

    end(
        Console("pipeline run", env, output, verbose),
        lambda console: command.run(console, file, project, arg or (), memory),
    )
