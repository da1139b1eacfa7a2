"""The commands of DAGs of projects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, Verbose, group
from mlops_platform.console import Console, Output

app = group("DAGs of projects: push, list, remove.")


@app.command("push")
def dag_push(
    folder: Annotated[Path, typer.Argument(help="Folder with the DAGs and the modules that they import.")],
    project: Project,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Make a folder the DAGs of a project, in place of those it had."""
    from mlops_platform.commands import dag as command

    end(Console("dag push", env, output, verbose), lambda console: command.push(console, folder, project))


@app.command("list")
def dag_list(
    project: Annotated[str, typer.Option("--project", "-p", help="Of one project; default: of all.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """List the DAGs of projects, with file and version."""
    from mlops_platform.commands import dag as command

    end(Console("dag list", env, output), lambda console: command.list_(console, project))


@app.command("remove")
def dag_remove(
    name: Annotated[str, typer.Argument(help="Id of the DAG, with or without the project's name.")],
    project: Project,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Remove a DAG of a project, with its runs."""
    from mlops_platform.commands import dag as command

    end(Console("dag remove", env, output, verbose), lambda console: command.remove(console, name, project))
