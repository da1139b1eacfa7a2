"""The confirmation before `up` changes a cluster: lists what is destroyed; data loss has its own question."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mlops_platform.base.errors import PlatformError, UsageError
from mlops_platform.report import preview

if TYPE_CHECKING:
    from mlops_platform.console import Console
    from mlops_platform.report.preview import Preview
    from mlops_platform.run.context import Context


def agreed(console: Console, context: Context, *, yes: bool, allow_data_loss: bool) -> bool:
    """True if `up` may continue. If Terraform could destroy something, `up` applies the saved plan.

    Raises UsageError when a confirmation is necessary and there is no terminal.
    """
    cluster, terraform = context.cluster, context.terraform
    if not cluster.capabilities.requires_confirmation or terraform.unchanged(cluster.variables()):
        return True
    if not terraform.resources():
        return yes or not console.asks or _new(console, context)
    progress = ConsoleProgress(console)
    cluster.prepare(progress)
    terraform.recover(progress, context.cancel)
    variables = cluster.variables()
    if terraform.unchanged(variables):  # the recovered run had applied everything
        return True
    changes = terraform.plan(variables, progress, context.cancel)
    if changes is None or not changes.all:
        return True
    try:
        answer = _answer(
            console, context, preview.of(context, changes), yes=yes, allow_data_loss=allow_data_loss
        )
    except PlatformError:  # no terminal, or interrupted
        terraform.discard_plan()
        raise
    if not answer:
        terraform.discard_plan()
    return answer


def _new(console: Console, context: Context) -> bool:
    """Ask before a first `up`, which costs money but loses no data. The plan creates no state bucket."""
    changes = context.terraform.preview(context.cluster.variables(), ConsoleProgress(console), context.cancel)
    return _ask(console, context, preview.of(context, changes))


def _answer(console: Console, context: Context, found: Preview, *, yes: bool, allow_data_loss: bool) -> bool:
    from mlops_platform.console.preview import changes as shown

    assert found.changes is not None
    destroying = found.changes.destroying
    if found.losses and not allow_data_loss and (yes or not console.asks):
        raise UsageError(
            f"up would lose data of {found.environment}",
            why="\n".join(f"{loss.where}: {loss.what}" for loss in found.losses),
            hint="read `mlops-platform plan`, then add --allow-data-loss; nothing was changed",
            command=_command(found.environment, "--yes", "--allow-data-loss"),
        )
    if destroying and not yes and not console.asks:
        raise UsageError(
            f"up would destroy {len(destroying)} resources of {found.environment}; no terminal to confirm it",
            why="\n".join(f"{change.action} {change.address}" for change in destroying),
            hint="add --yes in scripts; nothing was changed",
            command=_command(found.environment, "--yes"),
        )
    if console.asks and not yes:
        return _ask(
            console, context, found, found.environment if found.losses and not allow_data_loss else ""
        )
    if destroying:
        console.say("\n".join(shown(found.changes)))
    return True


def _ask(console: Console, context: Context, found: Preview, word: str = "") -> bool:
    from mlops_platform.console.preview import apart

    console.say(apart(found))
    return bool(console.confirm("\nData is lost. Apply?" if word else "\nApply?", word, context.cancel))


def _command(environment: str, *flags: str) -> str:
    return shlex.join(["mlops-platform", "up", "--env", environment, *flags])


class ConsoleProgress:
    """Prints the progress of work outside of a run."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        if self._console.verbose:
            self._console.say(f"  {text}")

    def fraction(self, done: int, total: int, what: str = "") -> None: ...

    def note(self, text: str) -> None:
        self._console.say(f"! {text}")
