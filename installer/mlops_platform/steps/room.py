"""The check that an environment fits the machine that carries its whole cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_platform.base.quantities import to_bytes, to_cores
from mlops_platform.clusters.base import Check, Machine
from mlops_platform.run.context import Context

_GIBIBYTE = 2**30


@dataclass(frozen=True)
class Room:
    """The memory, in bytes, and the cores that a whole cluster takes of its machine."""

    memory: int
    cores: float


def room(context: Context, machine: Machine) -> Room:
    """The needs of the components, of the largest Job, and of the cluster's own programs.

    Memory is the sum of limits, CPU the sum of requests: the scheduler starts no pod beyond either. Jobs wait
    for each other where there is room for only one.
    """
    asked = [resolved.variables for resolved in context.resolved.values()]
    memory = sum(to_bytes(each["memory"]) for each in asked) + _largest_job(context)
    cores = sum(to_cores(each["cpu"]) for each in asked)
    return Room(machine.own_memory + memory, machine.own_cores + cores)


def room_checks(context: Context) -> list[Check]:
    """The checks of memory and CPU; none where nodes come and go."""
    machine = context.cluster.machine()
    if machine is None:
        return []
    needed = room(context, machine)
    return [
        _check("memory", needed.memory / _GIBIBYTE, machine.memory / _GIBIBYTE, "GiB of memory"),
        _check("CPU", needed.cores, machine.cores, "cores"),
    ]


def volumes(context: Context) -> int:
    """The bytes that the volumes of components hold when they are full."""
    return sum(to_bytes(resolved.variables["disk"]) for resolved in context.resolved.values())


def _largest_job(context: Context) -> int:
    """The memory of the largest Job: a step of an installation, a smoke test, or a script for projects."""
    return max((to_bytes(memory) for memory in _jobs(context)), default=0)


def _jobs(context: Context) -> Iterator[str]:
    for resolved in context.resolved.values():
        component = resolved.component
        yield from (spec.memory for spec in (*component.jobs, *component.smoke))
        if component.projects:
            yield component.projects.memory


def _check(name: str, needed: float, there: float, unit: str) -> Check:
    seen = f"needs {needed:.1f} of {there:.1f} {unit}"
    if needed <= there:
        return Check(name, "ok", seen)
    why = "the components of the environment do not fit this machine: some pods would never start"
    fix = "use a larger machine, or an environment with fewer components (`mlops-platform env list`)"
    return Check(name, "failure", seen, why, fix)
