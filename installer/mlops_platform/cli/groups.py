"""Owns the commands in groups: env, policies, user, secrets, cache."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import (
    Component,
    Env,
    Out,
    Region,
    Stdin,
    UserName,
    Verbose,
    complete_environment,
)
from mlops_platform.console import Console, Output

app = typer.Typer()


def _group(name: str, about: str) -> typer.Typer:
    made = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(made, name=name)
    return made


env_app = _group("env", "Environments: list, show, and the schema of their files.")
policies_app = _group("policies", "The firewall: who may reach whom, and the policies that say so.")
user_app = _group("user", "Local users: add, remove, list, a new password.")
secrets_app = _group("secrets", "Secrets: new values, values brought in again, and what there is.")
component_app = _group("component", "Components of your own: a new folder, the schema of component.yaml.")
cache_app = _group("cache", "What has been built on this machine: show it, prune it.")


@env_app.command("list")
def env_list(
    output: Out = Output.TEXT,
    remote: Annotated[
        bool, typer.Option("--remote", help="Every environment found by its tags, whoever made it.")
    ] = False,
    region: Region = "",
) -> None:
    """List environments, and which of them are up here."""
    from mlops_platform.commands import env as command

    def act(console: Console) -> int:
        return command.run_remote(console, region) if remote else command.run_list(console)

    end(Console("env list", "", output), act)


@env_app.command("show")
def env_show(
    env: Annotated[str, typer.Argument(autocompletion=complete_environment)] = "local",
    output: Out = Output.TEXT,
) -> None:
    """Show one environment as it is understood, defaults filled in."""
    from mlops_platform.commands import env as command

    end(Console("env show", env, output), command.run_show)


@env_app.command("schema")
def env_schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    from mlops_platform.commands import env as command

    end(Console("env schema"), command.run_schema)


@policies_app.command("show")
def policies_show(
    env: Env = "local",
    output: Out = Output.TEXT,
    yaml: Annotated[bool, typer.Option("--yaml", help="The NetworkPolicies themselves.")] = False,
) -> None:
    """Show who may reach whom. Needs no cluster."""
    from mlops_platform.commands import policies as command

    end(Console("policies show", env, output), lambda console: command.run_show(console, as_yaml=yaml))


@cache_app.command("show")
def cache_show(output: Out = Output.TEXT) -> None:
    """Show what is cached, how large it is, and what is in use."""
    from mlops_platform.commands import cache as command

    end(Console("cache show", "", output), command.run_show)


@cache_app.command("prune")
def cache_prune(
    output: Out = Output.TEXT,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is in use: it is built again.")
    ] = False,
) -> None:
    """Remove build caches and old versions."""
    from mlops_platform.commands import cache as command

    end(Console("cache prune", "", output), lambda console: command.run_prune(console, everything=everything))


@secrets_app.command("rotate")
def secrets_rotate(
    component: Component,
    only: Annotated[str, typer.Option("--only", help="One of its secrets; default: all.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Give a component new secrets, everywhere, and prove that the old ones are refused."""
    from mlops_platform.commands import secrets as command

    end(
        Console("secrets rotate", env, output, verbose),
        lambda console: command.run_rotate(console, component, only=only),
    )


@secrets_app.command("sync")
def secrets_sync(
    component: Component, env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False
) -> None:
    """Bring what the secret store has into a component and the cluster."""
    from mlops_platform.commands import secrets as command

    end(
        Console("secrets sync", env, output, verbose),
        lambda console: command.run_sync(console, component),
    )


@secrets_app.command("list")
def secrets_list(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Names, versions and ages of secrets; no values."""
    from mlops_platform.commands import secrets as command

    end(Console("secrets list", env, output, verbose), command.run_list)


@user_app.command("add")
def user_add(
    name: UserName,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", "-g", help="platform-admins, data-scientists or viewers; may be repeated."),
    ] = None,
    email: Annotated[str, typer.Option("--email", help="Default: its name at the domain.")] = "",
    machine: Annotated[bool, typer.Option("--machine", help="No password: it comes with tokens.")] = False,
    password_stdin: Stdin = False,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Make a user; its password is shown once."""
    from mlops_platform.commands import user as command

    end(
        Console("user add", env, output),
        lambda console: command.add(
            console, name, tuple(group or ()), email, machine=machine, stdin=password_stdin
        ),
    )


@user_app.command("remove")
def user_remove(name: UserName, env: Env = "local", output: Out = Output.TEXT) -> None:
    """Remove a user: no login works any more."""
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
    """Give a user a new password."""
    from mlops_platform.commands import user as command

    end(
        Console("user passwd", env, output),
        lambda console: command.passwd(console, name, stdin=password_stdin),
    )


@component_app.command("new")
def component_new(
    name: Annotated[str, typer.Argument(help="Its name: lower-case letters, digits and dashes.")],
    to: Annotated[str, typer.Option("--to", help="Folder of components to write it to.")] = "components",
    output: Out = Output.TEXT,
) -> None:
    """Write a component that works, as a start for your own."""
    from mlops_platform.commands import component as command

    end(Console("component new", "", output), lambda console: command.run_new(console, name, to))


@component_app.command("schema")
def component_schema(output: Out = Output.TEXT) -> None:
    """Print the JSON Schema of component.yaml, for editors."""
    from mlops_platform.commands import component as command

    end(Console("component schema", "", output), command.run_schema)
