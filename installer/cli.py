"""Owns the command line: options, help, and the one place that maps errors to exit codes."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Output = Literal["text", "json"]

app = typer.Typer(
    name="mlops-platform",
    help="A Kubernetes MLOps platform that comes up, is proven, and goes away.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
env_app = typer.Typer(help="Environments: list, show, and the schema of their files.", no_args_is_help=True)
cache_app = typer.Typer(help="What has been built on this machine: show it, prune it.", no_args_is_help=True)
app.add_typer(env_app, name="env")
app.add_typer(cache_app, name="cache")


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
Component = Annotated[str, typer.Argument(autocompletion=_complete_component, help="A component's name.")]
Junit = Annotated[str, typer.Option("--junit", help="Also write the results as JUnit XML to this file.")]


@app.command()
def up(env: Env = "local", output: Out = "text", yes: Yes = False, verbose: Verbose = False) -> None:
    """Bring an environment up and prove it. Running it again resumes, or does nothing."""
    from installer.commands import up as command

    _end(command.run(env, output=output, yes=yes, verbose=verbose))


@app.command()
def down(
    env: Env = "local",
    output: Out = "text",
    yes: Yes = False,
    verbose: Verbose = False,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Keep volumes; the next up has them.")
    ] = False,
) -> None:
    """Take an environment down and prove that nothing is left."""
    from installer.commands import down as command

    _end(command.run(env, output=output, yes=yes, verbose=verbose, keep_data=keep_data))


@app.command()
def plan(env: Env = "local", output: Out = "text", verbose: Verbose = False) -> None:
    """Show what `up` would do. Changes nothing."""
    from installer.commands import plan as command

    _end(command.run(env, output=output, verbose=verbose))


@app.command()
def status(env: Env = "local", output: Out = "text", verbose: Verbose = False) -> None:
    """Show every component: version, readiness, last smoke test, drift."""
    from installer.commands import status as command

    _end(command.run(env, output=output, verbose=verbose))


@app.command()
def smoke(
    components: Annotated[
        list[str] | None, typer.Argument(autocompletion=_complete_component, help="Default: all of them.")
    ] = None,
    env: Env = "local",
    output: Out = "text",
    verbose: Verbose = False,
    junit: Junit = "",
) -> None:
    """Prove each layer, and that what must be refused is refused."""
    from installer.commands import smoke as command

    _end(command.run(env, components or [], output=output, verbose=verbose, junit=junit))


@app.command()
def check(env: Env = "local", output: Out = "text", verbose: Verbose = False) -> None:
    """Preflight: is this machine ready? Every line with its fix."""
    from installer.commands import check as command

    _end(command.run(env, output=output, verbose=verbose))


@app.command("open")
def open_(
    component: Component,
    env: Env = "local",
    output: Out = "text",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Local port; 0: any free one.")] = 0,
    verbose: Verbose = False,
) -> None:
    """Forward a component's port to this machine; print its address and how to log in."""
    from installer.commands import open_ as command

    _end(command.run(env, component, output=output, port=port, verbose=verbose))


@app.command()
def logs(
    component: Component,
    env: Env = "local",
    output: Out = "text",
    tail: Annotated[int, typer.Option("--tail", min=0, help="Lines from the end; 0: all.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as new lines come.")] = False,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the container before.")] = False,
    verbose: Verbose = False,
) -> None:
    """Print a component's log."""
    from installer.commands import logs as command

    _end(
        command.run(
            env, component, output=output, tail=tail, follow=follow, previous=previous, verbose=verbose
        )
    )


@app.command()
def unlock(
    env: Env = "local",
    output: Out = "text",
    force: Annotated[bool, typer.Option("--force", help="Even when its holder seems alive.")] = False,
    verbose: Verbose = False,
) -> None:
    """Say who holds an environment, and free it when they are gone."""
    from installer.commands import unlock as command

    _end(command.run(env, output=output, force=force, verbose=verbose))


@app.command()
def kubeconfig(env: Env = "local", output: Out = "text", verbose: Verbose = False) -> None:
    """Print the path of an environment's kubeconfig."""
    from installer.commands import kubeconfig as command

    _end(command.run(env, output=output, verbose=verbose))


@env_app.command("list")
def env_list(output: Out = "text") -> None:
    """List environments, and which of them are up here."""
    from installer.commands import env as command

    _end(command.run_list(output=output))


@env_app.command("show")
def env_show(
    env: Annotated[str, typer.Argument(autocompletion=_complete_environment)] = "local", output: Out = "text"
) -> None:
    """Show one environment as it is understood, defaults filled in."""
    from installer.commands import env as command

    _end(command.run_show(env, output=output))


@env_app.command("schema")
def env_schema() -> None:
    """Print the JSON Schema of environment files, for editors."""
    from installer.commands import env as command

    _end(command.run_schema())


@cache_app.command("show")
def cache_show(output: Out = "text") -> None:
    """Show what is cached, how large it is, and what is in use."""
    from installer.commands import cache as command

    _end(command.run_show(output=output))


@cache_app.command("prune")
def cache_prune(
    output: Out = "text",
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is in use: it is built again.")
    ] = False,
) -> None:
    """Remove build caches and old versions."""
    from installer.commands import cache as command

    _end(command.run_prune(output=output, everything=everything))


def _end(code: int) -> None:
    """Typer's way to leave with a status."""
    if code:
        raise typer.Exit(code)


def main() -> None:
    """The console script."""
    app()
