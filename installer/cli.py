"""Owns the command line: options, help, and the one place that maps errors to exit codes."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from installer.console import Console, Output
from installer.errors import Exit, Interrupted, PlatformError, UsageError

app = typer.Typer(
    name="mlops-platform",
    help="A Kubernetes MLOps platform that comes up, is proven, and goes away.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # drawing help with rich costs a fifth of a second
)


def _group(name: str, about: str) -> typer.Typer:
    made = typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(made, name=name)
    return made


env_app = _group("env", "Environments: list, show, and the schema of their files.")
policies_app = _group("policies", "The firewall: who may reach whom, and the policies that say so.")
user_app = _group("user", "Local users: add, remove, list, a new password.")
secrets_app = _group("secrets", "Secrets: new values, values brought in again, and what there is.")
cache_app = _group("cache", "What has been built on this machine: show it, prune it.")


class Only(StrEnum):
    """Where `up` may stop."""

    CLUSTER = "cluster"


def _complete_environment(incomplete: str) -> list[str]:
    from installer.environment import available
    from installer.session import shipped_environments

    return [name for name in available(shipped_environments()) if name.startswith(incomplete)]


def _complete_component(incomplete: str) -> list[str]:
    from installer.paths import Paths

    folders = (Paths.default().assets / "helm-values").glob("*/component.yaml")
    return sorted(f.parent.name for f in folders if f.parent.name.startswith(incomplete))


Env = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        envvar="MLOPS_PLATFORM_ENV",
        autocompletion=_complete_environment,
        help="Environment: a name or a file.",
    ),
]
Out = Annotated[Output, typer.Option("--output", "-o", help="json: one envelope on stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say every observation.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Region = Annotated[
    str, typer.Option("--region", help="Of environments made elsewhere; default: your tools' own.")
]
AllowDataLoss = Annotated[
    bool,
    typer.Option(
        "--allow-data-loss", "--delete-data", help="Also when data would be lost, which --yes does not cover."
    ),
]
Component = Annotated[str, typer.Argument(autocompletion=_complete_component, help="A component's name.")]
Junit = Annotated[str, typer.Option("--junit", help="Also write the results as JUnit XML to this file.")]


@app.command()
def up(
    env: Env = "local",
    output: Out = Output.TEXT,
    yes: Yes = False,
    verbose: Verbose = False,
    allow_data_loss: AllowDataLoss = False,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Steps at once.")] = 16,
    ttl: Annotated[
        str, typer.Option("--ttl", help="Time to live, such as 4h: `reap` takes it down after that.")
    ] = "",
    only: Annotated[Only | None, typer.Option("--only", help="Stop once the cluster is made.")] = None,
) -> None:
    """Bring an environment up and prove it. Running it again resumes, or does nothing."""
    from installer.commands import up as command

    _end(
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
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep volumes; the next up has them.")
    ] = False,
    retain: Annotated[
        list[str] | None,
        typer.Option("--retain", help="Keep these and name them: volumes, snapshots, buckets, logs."),
    ] = None,
    sweep_only: Annotated[
        bool, typer.Option("--sweep-only", help="Only what Terraform does not know of, and the proof.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where a step fails. What is left is still exit 7.")
    ] = False,
    region: Region = "",
) -> None:
    """Take an environment down and prove that nothing is left."""
    from installer.commands import down as command
    from installer.teardown.proof import Wishes

    wishes = Wishes(keep_data, frozenset(retain or ()), force, sweep_only)
    _end(
        Console("down", env, output, verbose),
        lambda console: command.run(
            console, yes=yes, wishes=wishes, allow_data_loss=allow_data_loss, region=region
        ),
    )


@app.command()
def reap(
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    region: Region = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what has expired.")] = False,
) -> None:
    """Take down what was made with --ttl and has expired; nothing else. For a scheduled job."""
    from installer.commands import reap as command

    _end(
        Console("reap", "", output, verbose),
        lambda console: command.run(console, region=region, dry_run=dry_run),
    )


@app.command()
def plan(
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    only: Annotated[Only | None, typer.Option("--only", help="Stop once the cluster is made.")] = None,
) -> None:
    """Show what `up` would do, what data would be lost, and what it costs. Changes nothing."""
    from installer.commands import plan as command

    _end(
        Console("plan", env, output, verbose),
        lambda console: command.run(console, only=only.value if only else ""),
    )


@app.command()
def status(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Show every component: version, readiness, last smoke test, drift."""
    from installer.commands import status as command

    _end(Console("status", env, output, verbose), command.run)


@app.command()
def smoke(
    components: Annotated[
        list[str] | None, typer.Argument(autocompletion=_complete_component, help="Default: all of them.")
    ] = None,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
    junit: Junit = "",
) -> None:
    """Prove each layer, and that what must be refused is refused."""
    from installer.commands import smoke as command

    _end(
        Console("smoke", env, output, verbose),
        lambda console: command.run(console, tuple(components or ()), junit=junit),
    )


@app.command()
def check(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Preflight: is this machine ready? Every line with its fix."""
    from installer.commands import check as command

    _end(Console("check", env, output, verbose), command.run)


@app.command("open")
def open_(
    component: Component,
    env: Env = "local",
    output: Out = Output.TEXT,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Local port; 0: any free one.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Forward a component's port to this machine; print its address and how to log in."""
    from installer.commands import open_ as command

    _end(
        Console("open", env, output, verbose),
        lambda console: command.run(console, component, port=port),
    )


@app.command()
def logs(
    component: Component,
    env: Env = "local",
    output: Out = Output.TEXT,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Lines from the end; 0: all.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come.")] = False,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the container before.")] = False,
    verbose: Verbose = False,
) -> None:
    """Print a component's log."""
    from installer.commands import logs as command

    _end(
        Console("logs", env, output, verbose),
        lambda console: command.run(console, component, tail=tail, follow=follow, previous=previous),
    )


@app.command()
def unlock(
    env: Env = "local",
    output: Out = Output.TEXT,
    force: Annotated[bool, typer.Option("--force", help="Even when its holder seems alive.")] = False,
    verbose: Verbose = False,
) -> None:
    """Say who holds an environment, and free it when they are gone."""
    from installer.commands import unlock as command

    _end(Console("unlock", env, output, verbose), lambda console: command.run(console, force=force))


@app.command()
def kubeconfig(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Print the path of an environment's kubeconfig."""
    from installer.commands import kubeconfig as command

    _end(Console("kubeconfig", env, output, verbose), command.run)


@env_app.command("list")
def env_list(
    output: Out = Output.TEXT,
    remote: Annotated[
        bool, typer.Option("--remote", help="Every environment found by its tags, whoever made it.")
    ] = False,
    region: Region = "",
) -> None:
    """List environments, and which of them are up here."""
    from installer.commands import env as command

    def act(console: Console) -> int:
        return command.run_remote(console, region) if remote else command.run_list(console)

    _end(Console("env list", "", output), act)


@env_app.command("show")
def env_show(
    env: Annotated[str, typer.Argument(autocompletion=_complete_environment)] = "local",
    output: Out = Output.TEXT,
) -> None:
    """Show one environment as it is understood, defaults filled in."""
    from installer.commands import env as command

    _end(Console("env show", env, output), command.run_show)


@env_app.command("schema")
def env_schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    from installer.commands import env as command

    _end(Console("env schema"), command.run_schema)


@policies_app.command("show")
def policies_show(
    env: Env = "local",
    output: Out = Output.TEXT,
    yaml: Annotated[bool, typer.Option("--yaml", help="The NetworkPolicies themselves.")] = False,
) -> None:
    """Show who may reach whom. Needs no cluster."""
    from installer.commands import policies as command

    _end(Console("policies show", env, output), lambda console: command.run_show(console, as_yaml=yaml))


@cache_app.command("show")
def cache_show(output: Out = Output.TEXT) -> None:
    """Show what is cached, how large it is, and what is in use."""
    from installer.commands import cache as command

    _end(Console("cache show", "", output), command.run_show)


@cache_app.command("prune")
def cache_prune(
    output: Out = Output.TEXT,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is in use: it is built again.")
    ] = False,
) -> None:
    """Remove build caches and old versions."""
    from installer.commands import cache as command

    _end(
        Console("cache prune", "", output), lambda console: command.run_prune(console, everything=everything)
    )


@app.command()
def trust(env: Env = "local", output: Out = Output.TEXT) -> None:
    """Say how browsers and programs come to know the environment's certificate."""
    from installer.commands import trust as command

    _end(Console("trust", env, output), command.run)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="A user's name, a machine's usually.")],
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Print a bearer token in a user's name for a program, good for an hour."""
    from installer.commands import user as command

    _end(Console("token", env, output), lambda console: command.token(console, name))


UserName = Annotated[str, typer.Argument(help="As it is to log in.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")]


@secrets_app.command("rotate")
def secrets_rotate(
    component: Component,
    only: Annotated[str, typer.Option("--only", help="One of its secrets; default: all.")] = "",
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Give a component new secrets, everywhere, and prove that the old ones are refused."""
    from installer.commands import secrets as command

    _end(
        Console("secrets rotate", env, output, verbose),
        lambda console: command.run_rotate(console, component, only=only),
    )


@secrets_app.command("sync")
def secrets_sync(
    component: Component, env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False
) -> None:
    """Bring what the secret store has into a component and the cluster."""
    from installer.commands import secrets as command

    _end(
        Console("secrets sync", env, output, verbose),
        lambda console: command.run_sync(console, component),
    )


@secrets_app.command("list")
def secrets_list(env: Env = "local", output: Out = Output.TEXT, verbose: Verbose = False) -> None:
    """Names, versions and ages of secrets; no values."""
    from installer.commands import secrets as command

    _end(Console("secrets list", env, output, verbose), command.run_list)


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
    from installer.commands import user as command

    _end(
        Console("user add", env, output),
        lambda console: command.add(
            console, name, tuple(group or ()), email, machine=machine, stdin=password_stdin
        ),
    )


@user_app.command("remove")
def user_remove(name: UserName, env: Env = "local", output: Out = Output.TEXT) -> None:
    """Remove a user: no login works any more."""
    from installer.commands import user as command

    _end(Console("user remove", env, output), lambda console: command.remove(console, name))


@user_app.command("list")
def user_list(env: Env = "local", output: Out = Output.TEXT) -> None:
    """List local users and their groups."""
    from installer.commands import user as command

    _end(Console("user list", env, output), command.list_)


@user_app.command("passwd")
def user_passwd(
    name: UserName, password_stdin: Stdin = False, env: Env = "local", output: Out = Output.TEXT
) -> None:
    """Give a user a new password."""
    from installer.commands import user as command

    _end(
        Console("user passwd", env, output),
        lambda console: command.passwd(console, name, stdin=password_stdin),
    )


def _end(console: Console, act: Callable[[Console], int]) -> None:
    """Run a command and leave with its status, as Typer wants it."""
    raise typer.Exit(guarded(console, act))


def main() -> None:
    """The console script. What is wrong with the command line itself is said like every other error."""
    raise SystemExit(guarded(Console("", output=_asked_output()), _typer))


def _typer(_: Console) -> int:
    """Typer's own exceptions are private to it, so they are told by what they have."""
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
    """What a command line that could not be parsed would have wanted of us."""
    words = " ".join(sys.argv[1:])
    return Output.JSON if re.search(r"(--output[ =]|-o ?)json\b", words) else Output.TEXT


def guarded(console: Console, act: Callable[[Console], int]) -> int:
    """The one place that maps errors to exit codes."""
    try:
        return act(console)
    except PlatformError as error:
        return console.error(error)
    except KeyboardInterrupt:
        return console.error(Interrupted("interrupted"))
    except BrokenPipeError:
        # Our reader has gone, as `head` does. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - a bug: said shortly, with -v in full
        return console.bug(traceback.format_exc(), f"{type(error).__name__}: {error}")
