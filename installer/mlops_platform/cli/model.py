"""The commands of models of projects."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, Verbose, group
from mlops_platform.console import Console, Output

app = group("Models of projects: serve, list, show, stop, score.")

Reference = Annotated[
    str,
    typer.Argument(metavar="MODEL[/VERSION|@ALIAS]", help="A registered model; default: its newest version."),
]
Name = Annotated[str, typer.Argument(help="Name of a served model.")]


@app.command("serve")
def model_serve(
    model: Reference,
    project: Project,
    name: Annotated[
        str, typer.Option("--name", help="Name of the service; default: the model's, as a DNS label.")
    ] = "",
    replicas: Annotated[
        str, typer.Option("--replicas", metavar="MIN[-MAX]", help="Pods: 2, or 1-4 by load; default 1.")
    ] = "",
    cpu: Annotated[str, typer.Option("--cpu", help="CPU request of a pod, such as 250m.")] = "",
    memory: Annotated[str, typer.Option("--memory", help="Memory of a pod, such as 1Gi.")] = "",
    canary: Annotated[
        int | None,
        typer.Option("--canary", min=0, max=100, metavar="PERCENT", help="Share beside the stable version."),
    ] = None,
    promote: Annotated[bool, typer.Option("--promote", help="Make the canary the stable version.")] = False,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Serve a version of a model, or another version in its place, and wait until it answers."""
    from mlops_platform.base.errors import UsageError
    from mlops_platform.commands import model as command
    from mlops_platform.commands._canary import canary as act_on_canary

    def act(console: Console) -> int:
        if canary is None and not promote:
            return command.serve(
                console, model, project, name=name, replicas=replicas, cpu=cpu, memory=memory
            )
        if replicas or cpu or memory or (promote and canary is not None):
            raise UsageError(
                "--canary and --promote go with --name only", hint="change sizes before or after"
            )
        return act_on_canary(console, model, project, name, percent=canary, promote=promote)

    end(Console("model serve", env, output, verbose), act)


@app.command("list")
def model_list(project: Project, env: Env = "local", output: Out = Output.TEXT) -> None:
    """List the served models of a project: version, state, pods."""
    from mlops_platform.commands import model as command

    end(Console("model list", env, output), lambda console: command.list_(console, project))


@app.command("show")
def model_show(name: Name, project: Project, env: Env = "local", output: Out = Output.TEXT) -> None:
    """Show a served model: version, pods, traffic, addresses, the reason of a failed load."""
    from mlops_platform.commands import model as command

    end(Console("model show", env, output), lambda console: command.show(console, name, project))


@app.command("stop")
def model_stop(
    name: Name,
    project: Project,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Delete a served model, and wait until its pods are gone."""
    from mlops_platform.commands import model as command

    end(Console("model stop", env, output, verbose), lambda console: command.stop(console, name, project))


@app.command("score")
def model_score(
    model: Reference,
    project: Project,
    source: Annotated[
        str, typer.Option("--input", metavar="FILE", help="CSV file in the data of the project.")
    ],
    output: Annotated[
        list[str],
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File in the data that gets the predictions; again with json: one JSON object on stdout.",
        ),
    ],
    memory: Annotated[str, typer.Option("--memory", help="Memory of the Job; default: 1Gi.")] = "",
    env: Env = "local",
    verbose: Verbose = False,
) -> None:
    """Score a file in the data of a project with a Job."""
    from mlops_platform.commands import model as command

    # Other commands have the format in this option; a file ends in .csv or .parquet.
    formats = [Output(each) for each in output if each in set(Output)]
    files = [each for each in output if each not in set(Output)]
    end(
        Console("model score", env, formats[-1] if formats else Output.TEXT, verbose),
        lambda console: command.score(console, model, project, source, files, memory),
    )
