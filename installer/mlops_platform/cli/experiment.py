"""The commands of experiments of projects."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops_platform.cli.errors import end
from mlops_platform.cli.options import Env, Out, Project, group
from mlops_platform.console import Console, Output

app = group("Experiments of projects: searches for the best parameters.")


@app.command("list")
def experiment_list(project: Project, env: Env = "local", output: Out = Output.TEXT) -> None:
    """List the experiments of a project: state, trials, best value, why one does not go on."""
    from mlops_platform.commands import experiment as command

    end(Console("experiment list", env, output), lambda console: command.list_(console, project))


@app.command("show")
def experiment_show(
    name: Annotated[str, typer.Argument(help="Name of an experiment.")],
    project: Project,
    env: Env = "local",
    output: Out = Output.TEXT,
) -> None:
    """Show an experiment: its best trial, a plot of the objective by trial, its trials."""
    from mlops_platform.commands import experiment as command

    end(Console("experiment show", env, output), lambda console: command.show(console, name, project))
