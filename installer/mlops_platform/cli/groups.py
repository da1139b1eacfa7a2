"""The commands in groups, such as `env list`."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.dag import app as dag_app
from mlops_platform.cli.errors import end
from mlops_platform.cli.experiment import app as experiment_app
from mlops_platform.cli.job import app as job_app
from mlops_platform.cli.model import app as model_app
from mlops_platform.cli.options import (
    Component,
    Env,
    EnvArgument,
    Groups,
    Out,
    Region,
    Stdin,
    UserName,
    Verbose,
    group,
)
from mlops_platform.cli.pipeline import app as pipeline_app
from mlops_platform.cli.project import app as project_app
from mlops_platform.console import Console, Output

app = typer.Typer()


def _group(name: str, about: str) -> typer.Typer:
    made = group(about)
    app.add_typer(made, name=name)
    return made


env_app = _group("env", "Environments: list, show, schema of their files.")
policies_app = _group("policies", "Network policies: allowed connections and the policies themselves.")
user_app = _group("user", "Local users: add, remove, list, set a password.")
app.add_typer(project_app, name="project")
app.add_typer(dag_app, name="dag")
app.add_typer(model_app, name="model")
app.add_typer(job_app, name="job")
app.add_typer(experiment_app, name="experiment")
app.add_typer(pipeline_app, name="pipeline")
secrets_app = _group("secrets", "Secrets: rotate, copy to the cluster, list.")
component_app = _group("component", "Your own components: write a folder, schema of component.yaml.")
cache_app = _group("cache", "What was built on this machine: show, prune, export, import, key.")


@env_app.command("list")
def env_list(
    remote: Annotated[bool, typer.Option("--remote", help="Those found by their tags in the cloud.")] = False,
    region: Region = "",
    output: Out = Output.TEXT,
) -> None:
    """List environments, and whether they are up."""
    from mlops_platform.commands import env as command

    def act(console: Console) -> int:
        return command.run_remote(console, region) if remote else command.run_list(console)

    end(Console("env list", "", output), act)


@env_app.command("show")
def env_show(
    env: EnvArgument = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Show one environment with its defaults."""
    from mlops_platform.commands import env as command

    end(Console("env show", env, output, verbose), command.run_show)


@env_app.command("schema")
def env_schema(output: Out = Output.TEXT) -> None:
    """Print the JSON Schema of environment files, for editors."""
    from mlops_platform.commands import env as command

    end(Console("env schema", "", output), command.run_schema)


@policies_app.command("show")
def policies_show(
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the NetworkPolicy objects.")] = False,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Show the allowed connections. Needs no cluster."""
    from mlops_platform.commands import policies as command

    end(Console("policies show", env, output), lambda console: command.run_show(console, as_yaml=yaml))


@cache_app.command("show")
def cache_show(output: Out = Output.TEXT) -> None:
    """Show the contents of the cache, their size, and what is in use."""
    from mlops_platform.commands import cache as command

    end(Console("cache show", "", output), command.run_show)


@cache_app.command("prune")
def cache_prune(
    everything: Annotated[bool, typer.Option("--all", help="Also what is in use.")] = False,
    output: Out = Output.TEXT,
) -> None:
    """Remove build caches and old versions."""
    from mlops_platform.commands import cache as command

    end(Console("cache prune", "", output), lambda console: command.run_prune(console, everything=everything))


@cache_app.command("export")
def cache_export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file to write; -: stdout.")],
    env: Env = "local",
    everything: Annotated[
        bool, typer.Option("--all", help="All entries, not only those that the environment needs.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    output: Out = Output.TEXT,
) -> None:
    """Write built programs, images and charts into a file, for another machine or CI."""
    from mlops_platform.commands import cache as command

    end(
        Console("cache export", "" if everything else env, output),
        lambda console: command.run_export(console, file, everything=everything, force=force),
    )


@cache_app.command("key")
def cache_key(env: Env = "local", output: Out = Output.TEXT) -> None:
    """Print a key for the cache of a CI system: it changes if up would build something else."""
    from mlops_platform.commands import cache as command

    end(Console("cache key", env, output), command.run_key)


@cache_app.command("import")
def cache_import(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file of cache export; -: stdin.")],
    sha256: Annotated[
        str, typer.Option("--sha256", metavar="DIGEST", help="Refuse another file; printed by cache export.")
    ] = "",
    output: Out = Output.TEXT,
) -> None:
    """Read the programs, images and charts of such a file. They will run here: know where it is from."""
    from mlops_platform.commands import cache as command

    end(Console("cache import", "", output), lambda console: command.run_import(console, file, sha256))


@secrets_app.command("rotate")
def secrets_rotate(
    component: Component,
    only: Annotated[str, typer.Option("--only", help="One of its secrets; default: all.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Set new secrets of a component and check that the old ones are rejected."""
    from mlops_platform.commands import secrets as command

    end(
        Console("secrets rotate", env, output, verbose),
        lambda console: command.run_rotate(console, component, only=only),
    )


@secrets_app.command("sync")
def secrets_sync(
    component: Component, env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False
) -> None:
    """Copy secrets of a component from Vault to the cluster."""
    from mlops_platform.commands import secrets as command

    end(
        Console("secrets sync", env, output, verbose),
        lambda console: command.run_sync(console, component),
    )


@secrets_app.command("list")
def secrets_list(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """List names, versions and ages of secrets, without values."""
    from mlops_platform.commands import secrets as command

    end(Console("secrets list", env, output, verbose), command.run_list)


@user_app.command("add")
def user_add(
    name: UserName,
    groups: Groups = None,
    email: Annotated[str, typer.Option("--email", help="Default: NAME@domain.")] = "",
    machine: Annotated[bool, typer.Option("--machine", help="A machine: no password, only tokens.")] = False,
    password_stdin: Stdin = False,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Create a user; the password is printed once."""
    from mlops_platform.commands import user as command

    end(
        Console("user add", env, output),
        lambda console: command.add(
            console, name, tuple(groups or ()), email, machine=machine, stdin=password_stdin
        ),
    )


@user_app.command("remove")
def user_remove(name: UserName, env: Env = "local", output: Out = Output.TEXT) -> None:
    """Remove a user and all its logins."""
    from mlops_platform.commands import user as command

    end(Console("user remove", env, output), lambda console: command.remove(console, name))


@user_app.command("list")
def user_list(env: Env = "local", output: Out = Output.TEXT) -> None:
    """List local users and their groups."""
    from mlops_platform.commands import user as command

    end(Console("user list", env, output), command.list_)


@user_app.command("passwd")
def user_passwd(
    name: UserName, password_stdin: Stdin = False, env: Env = "local", output: Out = Output.TEXT
) -> None:
    """Set a new password of a user."""
    from mlops_platform.commands import user as command

    end(
        Console("user passwd", env, output),
        lambda console: command.passwd(console, name, stdin=password_stdin),
    )


@component_app.command("new")
def component_new(
    name: Annotated[str, typer.Argument(help="Name: lower-case letters, digits and dashes.")],
    to: Annotated[str, typer.Option("--to", help="Folder in which it is written.")] = "components",
    output: Out = Output.TEXT,
) -> None:
    """Write the folder of a new component: a server with a smoke test, to be replaced."""
    from mlops_platform.commands import component as command

    end(Console("component new", "", output), lambda console: command.run_new(console, name, to))


@component_app.command("schema")
def component_schema(output: Out = Output.TEXT) -> None:
    """Print the JSON Schema of component.yaml, for editors."""
    from mlops_platform.commands import component as command

    end(Console("component schema", "", output), command.run_schema)
