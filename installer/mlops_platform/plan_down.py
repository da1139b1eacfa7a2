"""Owns the graph of `down`: what `up` has made, the other way round, and the proof that it is gone."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_platform.engine.graph import Graph, Step
from mlops_platform.run.context import Context
from mlops_platform.teardown.drain import (
    DeleteCustom,
    DeleteEntrances,
    DeleteNamespaces,
    DeleteVolumes,
    SuspendCronJobs,
    Uninstall,
)
from mlops_platform.teardown.ignore_errors import IgnoreErrors
from mlops_platform.teardown.snapshots import GROUPS, KeepSnapshots
from mlops_platform.teardown.verify import (
    DestroyCluster,
    DownOptions,
    Forget,
    Outcome,
    RemoveBlockers,
    Retain,
    Sweep,
    VerifyDestroyed,
)


@dataclass(frozen=True)
class Down:
    """The graph of `down`, and what its proof will have seen and found."""

    graph: Graph
    outcome: Outcome


def plan_down(context: Context, options: DownOptions, *, alive: bool) -> Down:
    """The graph reversed: what stands on a component goes before it; then the cluster; then the proof.

    A cluster that does not answer cannot be drained; where objects in it make things outside, that is
    for the sweep to find. With `keep_data` releases stay, for the next `up` to find them running.
    """
    outcome = Outcome()
    draining: list[Step] = []
    if alive and not options.keep_data and not options.sweep_only:
        draining = _draining(context, options)
    steps, before = list(draining), tuple(step.id for step in draining)
    outside = context.cluster.external_resources
    if not options.sweep_only:
        if outside:
            steps += [
                Retain(context, options, before),
                RemoveBlockers(context, outcome, ("cluster/retain",)),
            ]
            before = ("cluster/unblock",)
        steps.append(DestroyCluster(context, before))
    if options.force:
        steps = [IgnoreErrors(step) for step in steps]
    last = () if options.sweep_only else ("cluster/destroy",)
    steps += [Sweep(context, options, outcome, last), VerifyDestroyed(context, options, outcome)]
    if outside:
        steps.append(Forget(context))
    return Down(Graph.of(steps), outcome)


def _custom(context: Context, options: DownOptions) -> list[Step]:
    if "snapshots" not in options.retain:
        return [DeleteCustom(context)]
    keep = KeepSnapshots(context)
    return [keep, DeleteCustom(context, (keep.id,), GROUPS)]


def _draining(context: Context, options: DownOptions) -> list[Step]:
    """Where objects make things outside, those go first, while who made them still lives."""
    steps: list[Step] = []
    outside = context.cluster.external_resources
    if outside:
        steps = [SuspendCronJobs(context), *_custom(context, options), DeleteEntrances(context)]
        steps.append(DeleteVolumes(context, ("drain/entrances",), "volumes" in options.retain))
    before = tuple(step.id for step in steps[-1:])
    releases: list[Step] = []
    for component in context.components:
        on_it = [
            c
            for c in context.components
            if component.name in context.catalog.edges(c.name, context.environment.components)
        ]
        releases.append(Uninstall(context, component, (*before, *(f"{c.name}/uninstall" for c in on_it))))
    steps += releases
    gone = tuple(step.id for step in releases)
    if not outside:
        steps.append(DeleteVolumes(context, gone))
    if not context.cluster.whole:
        steps.append(DeleteNamespaces(context, gone or before))
    return steps
