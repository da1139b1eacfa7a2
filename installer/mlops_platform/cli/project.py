"""The commands of projects and of their data."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import (
    DataKey,
    Env,
    ExampleFolder,
    ImportItems,
    KeepProjectData,
    Members,
    Out,
    Project,
    ProjectName,
    Quota,
    Verbose,
    Yes,
    group,
)
from mlops_platform.console import Console, Output

app = group("Projects of teams: add, list, show, remove.")
data_app = group("Data of a project: put, list, get files.")
app.add_typer(data_app, name="data")


@app.command("add")
def project_add(
    name: ProjectName,
    member: Members = None,
    quota: Quota = None,
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


@app.command("init-example")
def project_init_example(
    name: ProjectName,
    to: ExampleFolder = None,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Write an example into a folder: a DAG that trains, registers and serves a model."""
    from mlops_platform.commands import project as command

    end(
        Console("project init-example", env, output),
        lambda console: command.init_example(console, name, to),
    )


@app.command("import")
def project_import(
    name: ProjectName,
    items: ImportItems = None,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Move data from before projects into a project; without items, list what there is."""
    from mlops_platform.commands import project as command

    end(
        Console("project import", env, output, verbose),
        lambda console: command.import_(console, name, tuple(items or ())),
    )


@app.command("remove")
def project_remove(
    name: ProjectName,
    force: Annotated[bool, typer.Option("--force", help="Also while workloads run in it.")] = False,
    keep_data: KeepProjectData = False,
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
    key: DataKey,
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
