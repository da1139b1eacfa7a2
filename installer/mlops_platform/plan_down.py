"""The plan of `down`: remove what `up` has made, in reverse order, then check that it is gone."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.engine.graph import Graph, Part, Step, after, chain, parallel
from mlops_platform.run.context import Context
from mlops_platform.teardown.drain import (
    DeleteCustomResources,
    DeleteLoadBalancers,
    DeleteNamespaces,
    DeleteVolumes,
    SuspendCronJobs,
    Uninstall,
    UninstallOthers,
)
from mlops_platform.teardown.ignore_errors import IgnoreErrors
from mlops_platform.teardown.operators import DeleteDefinitions, SilenceWebhooks
from mlops_platform.teardown.snapshots import GROUPS, KeepSnapshots
from mlops_platform.teardown.verify import (
    DestroyCluster,
    DownOptions,
    Outcome,
    RemoveBlockers,
    RemoveRecord,
    Retain,
    Sweep,
    VerifyDestroyed,
)


@dataclass(frozen=True)
class Down:
    """The graph of `down`, and the outcome that its check fills in."""

    graph: Graph
    outcome: Outcome


def plan_down(context: Context, options: DownOptions, *, alive: bool) -> Down:
    """Drain the cluster, destroy it, sweep, verify.

    A cluster that does not answer cannot be drained; the sweep removes the external resources of its objects.
    With `keep_data` the releases stay: the next `up` finds them running.
    """
    outcome, outside = Outcome(), context.cluster.capabilities.external_resources
    drains = alive and not options.keep_data and not options.sweep_only
    outside_first: list[Step] = (
        [Retain(context, options), RemoveBlockers(context, outcome)] if outside else []
    )
    destroy = Part() if options.sweep_only else chain(*outside_first, DestroyCluster(context))
    before = chain(_draining(context, options) if drains else Part(), destroy)
    steps = chain(
        _ignoring_errors(before) if options.force else before,
        Sweep(context, options, outcome),
        VerifyDestroyed(context, options, outcome),
        *([RemoveRecord(context)] if outside else []),
    )
    return Down(Graph.of(steps), outcome)


def _ignoring_errors(part: Part) -> Part:
    return Part(tuple(IgnoreErrors(step) for step in part.steps), part.edges, part.first, part.last)


def _draining(context: Context, options: DownOptions) -> Part:
    """The steps of the drain. Objects with external resources go first, while their controllers still run."""
    outside = context.cluster.capabilities.external_resources
    first = [
        SuspendCronJobs(context),
        *_custom(context, options),
        DeleteLoadBalancers(context),
        DeleteVolumes(context, "volumes" in options.retain),
    ]
    shared = not context.cluster.capabilities.dedicated
    namespaces = [DeleteNamespaces(context)] if shared else []
    volumes = [] if outside else [DeleteVolumes(context)]
    releases = chain(UninstallOthers(context), _releases(context))
    kinds = [DeleteDefinitions(context)] if shared else []  # else they go with the cluster
    last = parallel(*volumes, *namespaces)
    return chain(SilenceWebhooks(context), *(first if outside else []), releases, *kinds, last)


def _custom(context: Context, options: DownOptions) -> list[Step]:
    if "snapshots" not in options.retain:
        return [DeleteCustomResources(context)]
    return [KeepSnapshots(context), DeleteCustomResources(context, GROUPS)]


def _releases(context: Context) -> Part:
    """The steps that uninstall releases, each after the releases that depend on it."""
    steps = {name: Uninstall(context, resolved.component) for name, resolved in context.resolved.items()}
    standing = {name: [n for n, r in context.resolved.items() if name in r.requires] for name in steps}
    return parallel(*(after(step, *(steps[n] for n in standing[name])) for name, step in steps.items()))
