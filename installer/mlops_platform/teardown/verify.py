"""Owns destroying the cluster and proving it: an inventory after the fact, leftovers named one by one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_platform.base.errors import LeftoversError, StepError
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.base import Leftover
from mlops_platform.engine.graph import Difference, Slot
from mlops_platform.run.context import Context

# The record says whose all is: it goes when nothing is left of which that might be asked.
KEPT = ("runs", "environment.yaml", "lock", "record.json")


@dataclass(frozen=True)
class DownOptions:
    """How an environment is taken down. `retain` are words of the provider's `retainable`; `force` goes on
    where a step fails, and never makes a leftover anything else; `sweep_only` leaves Terraform alone."""

    keep_data: bool = False
    retain: frozenset[str] = frozenset()
    force: bool = False
    sweep_only: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is known of the way down, also when it failed."""

    seen: Slot[int] = field(default_factory=lambda: Slot("what was there before"))
    left: Slot[tuple[Leftover, ...]] = field(default_factory=lambda: Slot("what is left"))
    stays: Slot[tuple[Leftover, ...]] = field(default_factory=lambda: Slot("what stays on purpose"))


@dataclass(frozen=True)
class Retain:
    """What is to be kept is taken out of Terraform's hands, and marked for every inventory to come."""

    context: Context
    options: DownOptions
    id: str = "cluster/retain"
    layer: str = "cluster"

    def observe(self) -> Difference | None:
        words = ", ".join(sorted(self.options.retain))
        return Difference(f"keep {words}") if words else None

    def run(self, progress: Progress) -> None:
        context, options = self.context, self.options
        types = {t for word in options.retain for t in context.cluster.teardown.retainable[word].types}
        context.cluster.teardown.retain(options.retain)
        for address in context.terraform.state_rm(types, progress, context.cancel):
            progress.note(f"{address} is kept, and no more Terraform's")


@dataclass(frozen=True)
class RemoveBlockers:
    """What controllers made outside, and a dead cluster can no longer remove, would keep Terraform waiting
    for what it is in: that goes first, if it is ours and not Terraform's own."""

    context: Context
    outcome: Outcome
    blocking: Slot[list[Leftover]] = field(default_factory=lambda: Slot("what blocks Terraform"))
    id: str = "cluster/unblock"
    layer: str = "sweep"

    def observe(self) -> Difference | None:
        found = self.context.cluster.teardown.inventory()
        if not self.outcome.seen.filled:
            self.outcome.seen.set(len(found))
        blocking = _blocking(self.context, found)
        self.blocking.set(blocking)
        return Difference(f"remove {len(blocking)}") if blocking else None

    def run(self, progress: Progress) -> None:
        self.context.cluster.teardown.sweep(self.blocking.get(), progress, self.context.cancel)


def _blocking(context: Context, found: Sequence[Leftover]) -> list[Leftover]:
    known = context.terraform.ids()
    return [each for each in found if each.blocks and each.ours and each.id not in known]


@dataclass(frozen=True)
class DestroyCluster:
    """Terraform's part of going down, also when `up` died at any point.

    Nodes are ended in here, and leave interfaces behind, after what blocked was looked for: so that is
    looked for once more when Terraform fails (hashicorp/terraform-provider-aws#11473).
    """

    context: Context
    id: str = "cluster/destroy"
    layer: str = "cluster"

    def observe(self) -> Difference | None:
        resources = self.context.terraform.resources()
        return Difference(f"destroy {len(resources)} resources", destroys=True) if resources else None

    def run(self, progress: Progress) -> None:
        context = self.context
        context.terraform.recover(progress, context.cancel)
        try:
            self._destroy(progress)
        except StepError as error:
            blocking = self._blocking_by_now(error, progress)
            if not blocking:
                raise
            progress.note(f"failed once: {error.what}: {' '.join(error.why.splitlines()[-1:])}")
            named = ", ".join(f"{each.kind} {each.id}" for each in blocking)
            progress.note(f"destroyed once more, after removing what it waited for in vain: {named}")
            context.cluster.teardown.sweep(blocking, progress, context.cancel)
            self._destroy(progress)

    def _blocking_by_now(self, failed: StepError, progress: Progress) -> list[Leftover]:
        """Raises what has failed when that cannot be asked."""
        try:
            return _blocking(self.context, self.context.cluster.teardown.inventory())
        except StepError as error:
            progress.note(f"what blocks it could not be looked for: {error.what}")
            raise failed from error

    def _destroy(self, progress: Progress) -> None:
        self.context.terraform.destroy(self.context.cluster.variables(), progress, self.context.cancel)


@dataclass(frozen=True)
class Sweep:
    """What Terraform does not know of: found by the cluster's own inventory, deleted, said."""

    context: Context
    options: DownOptions
    outcome: Outcome
    found: Slot[list[Leftover]] = field(default_factory=lambda: Slot("what there is to sweep"))
    id: str = "cluster/sweep"
    layer: str = "sweep"

    def observe(self) -> Difference | None:
        found = _everything(self.context)
        if not self.outcome.seen.filled:
            self.outcome.seen.set(len(found))
        self.found.set([each for each in found if not stays(self.context, self.options, each)])
        going = len(self.found.get())
        return Difference(f"remove {going}") if going else None

    def run(self, progress: Progress) -> None:
        context = self.context
        # A destroy that was passed over by force has left Terraform's own, which nobody else will delete.
        known = frozenset() if self.options.force else context.terraform.ids()
        found = [each for each in self.found.get() if each.kind != "file" and each.id not in known]
        context.cluster.teardown.sweep(found, progress, context.cancel)
        if self.options.sweep_only and context.terraform.resources():
            return  # the files are how Terraform will find what is still its own
        context.cluster.teardown.destroy_files(keep_data=self.options.keep_data, progress=progress)
        if not self.options.keep_data:
            self._remove_files()

    def _remove_files(self) -> None:
        # What the inventory still lists is in use: it stays, for the proof to name. Clouds list no files.
        cluster = self.context.cluster
        listed = (
            []
            if cluster.capabilities.external_resources
            else [Path(found.id) for found in cluster.teardown.inventory()]
        )
        for path in (Path(file.id) for file in _files(self.context)):
            if not any(path in (each, *each.parents) for each in listed):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def stays(context: Context, options: DownOptions, found: Leftover) -> bool:
    """On purpose: the cloud's own doing, a mark of an earlier time, or what `--retain` names now."""
    kinds = {kind for word in options.retain for kind in context.cluster.teardown.retainable[word].kinds}
    return bool(found.keep) or (found.kind in kinds and found.ours)


def _files(context: Context) -> list[Leftover]:
    """All that lies in the state folder, but what stays on purpose."""
    found = sorted(context.state.iterdir()) if context.state.exists() else []
    return [Leftover("file", str(path)) for path in found if path.name not in KEPT]


def _outside(context: Context) -> list[Leftover]:
    """Everything but files: those are removed apart, because `--keep-data` keeps some of them."""
    return [found for found in context.cluster.teardown.inventory() if found.kind != "file"]


def _everything(context: Context) -> list[Leftover]:
    found = list(context.cluster.teardown.inventory())
    known = {item.id for item in found}
    return found + [file for file in _files(context) if file.id not in known]


@dataclass(frozen=True)
class VerifyDestroyed:
    """Looks again. Anything found is a leftover, and a leftover is never exit 0."""

    context: Context
    options: DownOptions
    outcome: Outcome
    id: str = "cluster/proof"
    layer: str = "proof"

    def observe(self) -> Difference | None:
        return Difference("look for what is left")

    def run(self, progress: Progress) -> None:
        context, options = self.context, self.options
        found = _outside(context) if options.keep_data else _everything(context)
        left = [each for each in found if not stays(context, options, each)]
        explained = tuple(context.cluster.teardown.with_reasons(left))
        self.outcome.left.set(explained)
        self.outcome.stays.set(tuple(each for each in found if stays(context, options, each)))
        if left:
            raise _left(context, explained)


def _left(context: Context, left: Sequence[Leftover]) -> LeftoversError:
    sweep = " --sweep-only" if context.cluster.capabilities.external_resources else ""
    return LeftoversError(
        f"{len(left)} left",
        why="\n".join(f"{item.kind} {item.id} {item.detail}".rstrip() for item in left),
        hint="end what holds them, then run down again",
        command=f"mlops-platform down --env {context.environment.name}{sweep}",
    )


@dataclass(frozen=True)
class Forget:
    """Where the environment is recorded outside of this machine: last, since all else is found through it."""

    context: Context
    id: str = "cluster/record"
    layer: str = "proof"

    def observe(self) -> Difference | None:
        where = self.context.cluster.teardown.record_location()
        return Difference(f"remove {where}") if where else None

    def run(self, progress: Progress) -> None:
        self.context.cluster.teardown.remove_record(progress)
