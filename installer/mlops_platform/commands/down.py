"""`down`: drain, destroy, sweep, verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_platform.base.errors import Exit, PreflightError, StepError, UsageError
from mlops_platform.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlops_platform.clusters.base import Cluster
    from mlops_platform.clusters.leftovers import Leftover
    from mlops_platform.run.context import Context
    from mlops_platform.run.open import Opened
    from mlops_platform.teardown.verify import DownOptions, Outcome


def run(
    console: Console, *, yes: bool, options: DownOptions, allow_data_loss: bool = False, region: str = ""
) -> int:
    from mlops_platform.run.connect import read_only
    from mlops_platform.run.remote import open_anywhere

    opened = open_anywhere(console.environment, region)
    name = console.environment = opened.environment.name
    context = read_only(opened)
    cluster = context.cluster
    cluster.require_same_location()
    _check_options(name, cluster, options)
    if not opened.state.exists() and not cluster.teardown.inventory():
        return console.done(
            {"changed": 0, "seen": 0, "left": []}, f"{name}: nothing to take down · 0 left of 0 seen"
        )
    going = require_unprotected(context, options)
    if not yes and (names := _projects(context)):
        from mlops_platform.console.projects import one_line

        console.say(
            f"! projects: {one_line(names)}{'' if options.keep_data else ', removed with their data'}"
        )
    if not _agreed(console, name, options, () if allow_data_loss else going, yes=yes):
        console.text(f"{name}: left as it is")
        return Exit.DONE
    taken = take_down(console, opened, options)
    return console.done(taken.data, taken.text)


@dataclass(frozen=True)
class TakenDown:
    """The result of a verified teardown, as data and as text."""

    data: dict[str, Any]
    text: str


def take_down(console: Console, opened: Opened, options: DownOptions) -> TakenDown:
    """Take an environment down, without asking. Raises LeftoversError, and the error of a step."""
    from mlops_platform.commands._run import counts, running
    from mlops_platform.console import screens
    from mlops_platform.plan_down import plan_down
    from mlops_platform.report.cost import spent_so_far

    name = opened.environment.name
    with running(console, opened) as run:
        run.context.cluster.require_same_location()
        spent = spent_so_far(run.context)
        alive = not options.sweep_only and _reached(run.context, console)
        planned = plan_down(run.context, options, alive=alive)
        outcome = planned.outcome
        projects = _projects(run.context) if alive and not options.keep_data else []
        # Count before the drain deletes the first object.
        if alive and run.context.cluster.capabilities.external_resources:
            outcome.seen.set(len(run.context.cluster.teardown.inventory()))
        try:
            result = run.engine(planned.graph)
        finally:
            console.add(_found(outcome))
    seen, money = outcome.seen.get(), spent.now() if spent else None
    data = counts(result) | {"seen": seen, "projects": projects, **_found(outcome)}
    stays = outcome.stays.get()
    text = screens.down(name, result, seen, stays, kept=options.keep_data, spent=money, projects=projects)
    return TakenDown(data | ({"cost": money.as_data()} if money else {}), text)


def _projects(context: Context) -> list[str]:
    """The names of the projects; none if the cluster does not answer."""
    from mlops_platform.run.connect import fill_access
    from mlops_platform.steps.projects.cluster import namespaces

    try:
        if not (context.access.filled or fill_access(context)) or context.cluster.alive():
            return []
        return sorted(each["metadata"]["name"] for each in namespaces(context, context.clients.kube))
    except (StepError, PreflightError):
        return []  # the drain, which comes next, says why


def _found(outcome: Outcome) -> dict[str, list[dict[str, object]]]:
    def plain(found: Sequence[Leftover]) -> list[dict[str, object]]:
        return [vars(item) for item in found]

    left = outcome.left.get() if outcome.left.filled else ()
    stays = outcome.stays.get() if outcome.stays.filled else ()
    return {"left": plain(left), "stays": plain([each for each in stays if each.keep or each.ours])}


def _check_options(name: str, cluster: Cluster, options: DownOptions) -> None:
    strange = sorted(options.retain - set(cluster.teardown.retainable))
    if strange:
        known = ", ".join(cluster.teardown.retainable) or "nothing, here"
        raise UsageError(f"--retain {strange[0]}: unknown", why=f"known: {known}")
    if options.keep_data and not cluster.capabilities.keeps_data:
        raise UsageError(
            f"{name} cannot be stopped and keep its data: `up` creates a new cluster",
            hint="keep the disks with --retain, which lists them",
            command=f"mlops-platform down --env {name} --retain volumes",
        )


def require_unprotected(context: Context, options: DownOptions) -> Sequence[Leftover]:
    """Return the data that would be deleted. Raises PreflightError when some is protected, also with --force.

    The cloud would reject the deletion at the end, when the cluster is already gone.
    """
    cluster, name = context.cluster, context.environment.name
    kept = {kind for word in options.retain for kind in cluster.teardown.retainable[word].kinds}
    going = [each for each in cluster.teardown.data() if each.kind not in kept]
    guarded = context.terraform.protected()
    protected = [each for each in going if each.protected or each.id in guarded]
    if protected:
        raise PreflightError(
            f"{name} has data with deletion protection; nothing was changed",
            why="\n".join(f"{each.kind} {each.id} {each.detail}".rstrip() for each in protected),
            hint="set `deletion_protection: false`, run `up`, then `down`; --force does not lift it",
            command=f"mlops-platform up --env {name}",
        )
    return going


def _reached(context: Context, console: Console) -> bool:
    """True: the cluster exists and answers, so it can be drained."""
    from mlops_platform.run.connect import fill_access

    if not fill_access(context):
        if context.terraform.resources():
            console.say("! the cluster is not drained: Terraform's state has no endpoint")
        return False
    wrong = context.cluster.alive()
    if not wrong and context.cluster.capabilities.external_resources:
        try:
            context.clients.kube.check_ready()
        except (StepError, PreflightError) as error:
            wrong = error.what
    if wrong:
        console.say(f"! the cluster is not drained: {wrong}")
    return not wrong


def _agreed(
    console: Console, name: str, options: DownOptions, lost: Sequence[Leftover], *, yes: bool
) -> bool:
    """Ask once; if data outside of the cluster is deleted, the answer is the environment's name."""
    if lost and (yes or not console.asks):
        raise UsageError(
            f"down would delete data of {name}",
            why="\n".join(f"{each.kind} {each.id} {each.detail}".rstrip() for each in lost),
            hint="add --allow-data-loss, or keep the data with --retain; nothing was changed",
            command=f"mlops-platform down --env {name} --yes --allow-data-loss",
        )
    if yes:
        return True
    what = "its data is kept" if options.keep_data else "its data is deleted"
    for each in lost:
        console.say(f"! {each.kind} {each.id} {each.detail} is deleted")
    answer = console.confirm(f"Take {name} down? {what[0].upper()}{what[1:]}.", name if lost else "")
    if answer is None:
        raise UsageError(
            f"down needs a confirmation to take {name} down, and there is no terminal",
            hint="add --yes in scripts",
            command=f"mlops-platform down --env {name} --yes",
        )
    return answer
