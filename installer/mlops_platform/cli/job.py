"""The commands of jobs of projects."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, Verbose, group
from mlops_platform.console import Console, Output

app = group("Jobs of projects: list, logs, stop.")

Name = Annotated[
    str, typer.Argument(help="Name of a job; trainjob/NAME or job/NAME if there are two of one name.")
]


@app.command("list")
def job_list(project: Project, env: Env = "local", output: Out = Output.TEXT) -> None:
    """List the training jobs and Jobs of a project: state, age, why one waits or failed."""
    from mlops_platform.commands import job as command

    end(Console("job list", env, output), lambda console: command.list_(console, project))


@app.command("logs")
def job_logs(
    name: Name,
    project: Project,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new lines, until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option("--tail", min=0, help="Only the last lines of each log; 0: all.")] = 0,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Print the logs of a job's pods."""
    from mlops_platform.commands import job as command

    end(
        Console("job logs", env, output),
        lambda console: command.logs(console, name, project, tail=tail, follow=follow),
    )


@app.command("stop")
def job_stop(
    name: Name,
    project: Project,
    env: Env = "local",
    output: Out = Output.TEXT,
    verbose: Verbose = False,
) -> None:
    """Delete a job, and wait until its pods are gone."""
    from mlops_platform.commands import job as command

    end(Console("job stop", env, output, verbose), lambda console: command.stop(console, name, project))
