"""The commands of projects and of their data."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, ProjectName, Verbose, Yes
from mlops_platform.console import Console, Output

app = typer.Typer(
    help="Projects of teams: add, list, show, remove.", no_args_is_help=True, rich_markup_mode=None
)
data_app = typer.Typer(
    help="Data of a project: put, list, get files.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(data_app, name="data")


@app.command("add")
def project_add(
    name: ProjectName,
    member: Annotated[
        list[str] | None,
        typer.Option(
            "--member",
            "-m",
            help="GROUP:view, GROUP:edit, user/NAME:view or user/NAME:edit; may be repeated. "
            "Of an existing project: all members.",
        ),
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option("--quota", help="Such as cpu=4,memory=8Gi,gpu=1,storage=50Gi,pods=50."),
    ] = None,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Create a project, or change the members and quota of one that exists."""
    from mlops_platform.commands import project as command

    end(
        Console("project add", env, output, verbose),
        lambda console: command.add(console, name, tuple(member or ()), tuple(quota or ())),
    )


@app.command("list")
def project_list(env: Env = "local", output: Out = Output.TEXT) -> None:
    """List projects with their members and what they use of their quota."""
    from mlops_platform.commands import project as command

    end(Console("project list", env, output), command.list_)


@app.command("show")
def project_show(name: ProjectName, env: Env = "local", output: Out = Output.TEXT) -> None:
    """Show one project: members, quota, accounts, network, and what runs in it."""
    from mlops_platform.commands import project as command

    end(Console("project show", env, output), lambda console: command.show(console, name))


@app.command("remove")
def project_remove(
    name: ProjectName,
    force: Annotated[bool, typer.Option("--force", help="Also while workloads run in it.")] = False,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep what components have of it: runs, models, data.")
    ] = False,
    yes: Yes = False,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Remove a project with everything in it."""
    from mlops_platform.commands import project as command

    end(
        Console("project remove", env, output, verbose),
        lambda console: command.remove(console, name, force=force, keep_data=keep_data, yes=yes),
    )


@data_app.command("put")
def project_data_put(
    source: Annotated[str, typer.Argument(metavar="FILE|DIR", help="A file, or a folder.")],
    project: Project,
    to: Annotated[str, typer.Option("--to", help="Name in the data; default: that of the source.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Upload files. The same command again continues an interrupted upload."""
    from mlops_platform.commands import data as command

    end(
        Console("project data put", env, output, verbose),
        lambda console: command.put(console, source, project, to),
    )


@data_app.command("list")
def project_data_list(
    project: Project,
    prefix: Annotated[str, typer.Argument(help="Only names that start with it.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """List files with size and age."""
    from mlops_platform.commands import data as command

    end(Console("project data list", env, output), lambda console: command.list_(console, prefix, project))


@data_app.command("get")
def project_data_get(
    key: Annotated[str, typer.Argument(metavar="FILE|DIR", help="Name in the data: a file or a folder.")],
    project: Project,
    to: Annotated[str, typer.Option("--to", help="Folder in which files are written.")] = ".",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Download files. The same command again continues an interrupted download."""
    from mlops_platform.commands import data as command

    end(
        Console("project data get", env, output, verbose),
        lambda console: command.get(console, key, project, to),
    )
