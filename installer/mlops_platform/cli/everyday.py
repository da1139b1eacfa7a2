"""The commands without a group: up, down, plan, status, smoke, open and others."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import (
    AllowDataLoss,
    Component,
    Env,
    Junit,
    Only,
    Out,
    Region,
    Stdin,
    Verbose,
    Yes,
    complete_component,
)
from mlops_platform.console import Console, Output

app = typer.Typer()


@app.command()
def up(
    env: Env = "local",
    output: Out = Output.TEXT,
    yes: Yes = False,
    verbose: Verbose = False,
    allow_data_loss: AllowDataLoss = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Steps at once.")] = 16,
    ttl: Annotated[
        str, typer.Option("--ttl", help="Time to live, such as 4h; then `reap` destroys it.")
    ] = "",
    only: Annotated[Only | None, typer.Option("--only", help="Stop after the cluster is created.")] = None,
) -> None:
    """Install or change an environment and run the smoke tests. Resumes an earlier run."""
    from mlops_platform.commands import up as command

    end(
        Console("up", env, output, verbose),
        lambda console: command.run(
            console,
            yes=yes,
            allow_data_loss=allow_data_loss,
            parallel=parallel,
            ttl=ttl,
            only=only.value if only else "",
        ),
    )


@app.command()
def down(
    env: Env = "local",
    output: Out = Output.TEXT,
    yes: Yes = False,
    verbose: Verbose = False,
    allow_data_loss: AllowDataLoss = False,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="Keep volumes for the next up.")] = False,
    retain: Annotated[
        list[str] | None,
        typer.Option("--retain", help="Keep and list these: volumes, snapshots, buckets, logs."),
    ] = None,
    sweep_only: Annotated[
        bool, typer.Option("--sweep-only", help="Only delete what Terraform does not know, and verify.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Continue after a failed step. Leftovers are still exit 7.")
    ] = False,
    region: Region = "",
) -> None:
    """Destroy an environment and verify that nothing is left."""
    from mlops_platform.commands import down as command
    from mlops_platform.teardown.verify import DownOptions

    options = DownOptions(keep_data, frozenset(retain or ()), force, sweep_only)
    end(
        Console("down", env, output, verbose),
        lambda console: command.run(
            console, yes=yes, options=options, allow_data_loss=allow_data_loss, region=region
        ),
    )


@app.command()
def reap(
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    region: Region = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what has expired.")] = False,
) -> None:
    """Destroy environments made with --ttl after their time. For a scheduled job."""
    from mlops_platform.commands import reap as command

    end(
        Console("reap", "", output, verbose),
        lambda console: command.run(console, region=region, dry_run=dry_run),
    )


@app.command()
def plan(
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    only: Annotated[Only | None, typer.Option("--only", help="Stop after the cluster is created.")] = None,
) -> None:
    """Show what `up` would change, which data it would lose, and what it costs. Changes nothing."""
    from mlops_platform.commands import plan as command

    end(
        Console("plan", env, output, verbose),
        lambda console: command.run(console, only=only.value if only else ""),
    )


@app.command()
def status(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Show every component: version, readiness, last smoke test, drift."""
    from mlops_platform.commands import status as command

    end(Console("status", env, output, verbose), command.run)


@app.command()
def smoke(
    components: Annotated[
        list[str] | None, typer.Argument(autocompletion=complete_component, help="Default: all.")
    ] = None,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    junit: Junit = "",
    wake_gpus: Annotated[
        bool, typer.Option("--wake-gpus", help="Start a node of an empty GPU pool for the test of GPUs.")
    ] = False,
) -> None:
    """Run the smoke tests: positive and negative; the long ones of named components too."""
    from mlops_platform.commands import smoke as command

    def act(console: Console) -> int:
        return command.run(console, tuple(components or ()), junit=junit, wake_gpus=wake_gpus)

    end(Console("smoke", env, output, verbose), act)


@app.command()
def check(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Check the machine or the account before `up`: each line has a figure and a fix."""
    from mlops_platform.commands import check as command

    end(Console("check", env, output, verbose), command.run)


@app.command("open")
def open_(
    component: Annotated[
        str, typer.Argument(autocompletion=complete_component, help="Default: the home page.")
    ] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Local port; 0: any free one.")] = 0,
    address: Annotated[bool, typer.Option("--print", help="Print the address, and end.")] = False,
    verbose: Verbose = False,
) -> None:
    """Forward a local port to a component, or to the home page; print its address and how to log in."""
    from mlops_platform.commands import open_ as command

    end(
        Console("open", env, output, verbose),
        lambda console: command.run(console, component, port=port, address_only=address),
    )


@app.command()
def logs(
    component: Component,
    env: Env = "local",
    output: Out = Output.TEXT,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Lines from the end; 0: all.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="The log of the previous container.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """Print a component's log."""
    from mlops_platform.commands import logs as command

    end(
        Console("logs", env, output, verbose),
        lambda console: command.run(console, component, tail=tail, follow=follow, previous=previous),
    )


@app.command()
def unlock(
    env: Env = "local",
    output: Out = Output.TEXT,
    force: Annotated[bool, typer.Option("--force", help="Also if the holder seems alive.")] = False,
    verbose: Verbose = False,
) -> None:
    """Show the holder of an environment's lock; remove a stale lock."""
    from mlops_platform.commands import unlock as command

    end(Console("unlock", env, output, verbose), lambda console: command.run(console, force=force))


@app.command()
def kubeconfig(
    project: Annotated[
        str, typer.Option("--project", "-p", help="For the members of a project, who log in by SSO.")
    ] = "",
    user: Annotated[
        str, typer.Option("--user", help="With --project: also log in this user, without a browser.")
    ] = "",
    password_stdin: Stdin = False,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Print the path of an environment's kubeconfig."""
    from mlops_platform.commands import kubeconfig as command

    def act(console: Console) -> int:
        if project or user or password_stdin:
            return command.for_project(console, project, user, stdin=password_stdin)
        return command.run(console)

    end(Console("kubeconfig", env, output, verbose), act)


@app.command(hidden=True)
def kubernetes_login(
    issuer: Annotated[str, typer.Option("--issuer", help="URL of the OIDC issuer.")],
    client: Annotated[str, typer.Option("--client", help="Id of the client at the issuer.")],
    authority: Annotated[str, typer.Option("--authority", help="Its certificate authority, base64.")] = "",
    env: Env = "local",
) -> None:
    """Credential plugin of kubectl, named in the kubeconfig of a project."""
    from mlops_platform.commands import kubeconfig as command

    end(
        Console("kubernetes-login", env),
        lambda console: command.login(console, issuer, client, authority),
    )


@app.command()
def trust(env: Env = "local", output: Out = Output.TEXT) -> None:
    """Explain how browsers and programs trust the environment's certificate."""
    from mlops_platform.commands import trust as command

    end(Console("trust", env, output), command.run)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Name of a user, usually of a machine.")],
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Print a bearer token of a user for a program, valid for an hour."""
    from mlops_platform.commands import user as command

    end(Console("token", env, output), lambda console: command.token(console, name))
