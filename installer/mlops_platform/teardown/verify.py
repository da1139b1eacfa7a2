"""Destruction of the cluster, the sweep, and the verification that nothing is left."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlops_platform.base.errors import LeftoversError, StepError
from mlops_platform.base.progress import Progress
from mlops_platform.clusters.leftovers import Leftover
from mlops_platform.engine.graph import Difference, Slot
from mlops_platform.run.context import Context
from mlops_platform.steps.base import EnvironmentStep

# The record identifies the owner of every object, so it goes last.
KEPT = ("runs", "environment.yaml", "lock", "record.json")


@dataclass(frozen=True)
class DownOptions:
    """The flags of `down`.

    `retain` are words of the provider's `retainable`; `force` continues after a failed step, but does not
    hide leftovers; `sweep_only` leaves Terraform alone.
    """

    keep_data: bool = False
    retain: frozenset[str] = frozenset()
    force: bool = False
    sweep_only: bool = False


@dataclass(frozen=True)
class Outcome:
    """The figures of a teardown, also of a failed one."""

    seen: Slot[int] = field(default_factory=lambda: Slot("the number of objects before"))
    left: Slot[tuple[Leftover, ...]] = field(default_factory=lambda: Slot("leftovers"))
    stays: Slot[tuple[Leftover, ...]] = field(default_factory=lambda: Slot("objects that stay on purpose"))


@dataclass(frozen=True)
class Retain(EnvironmentStep):
    """Remove retained objects from Terraform's state, and mark them for later inventories."""

    options: DownOptions

    path = "cluster/retain"
    layer = "cluster"

    def observe(self) -> Difference | None:
        words = ", ".join(sorted(self.options.retain))
        return Difference(f"keep {words}") if words else None

    def run(self, progress: Progress) -> None:
        context, options = self.context, self.options
        types = {t for word in options.retain for t in context.cluster.teardown.retainable[word].types}
        context.cluster.teardown.retain(options.retain)
        for address in context.terraform.state_rm(types, progress, context.cancel):
            progress.note(f"{address} is kept and removed from Terraform's state")


@dataclass(frozen=True)
class RemoveBlockers(EnvironmentStep):
    """Delete objects of controllers, which a dead cluster cannot remove and Terraform would wait for.

    Only those that are ours and not in Terraform's state.
    """

    outcome: Outcome
    blocking: Slot[list[Leftover]] = field(default_factory=lambda: Slot("objects that block Terraform"))

    path = "cluster/unblock"
    layer = "sweep"

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
class DestroyCluster(EnvironmentStep):
    """Run `terraform destroy`, also after an `up` that died at any point.

    It ends the nodes, which may leave network interfaces behind; so after a failure, blocking objects are
    looked for a second time (hashicorp/terraform-provider-aws#11473).
    """

    path = "cluster/destroy"
    layer = "cluster"

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
            progress.note(f"destroy again, after removing what blocked it: {named}")
            context.cluster.teardown.sweep(blocking, progress, context.cancel)
            self._destroy(progress)

    def _blocking_by_now(self, failed: StepError, progress: Progress) -> list[Leftover]:
        """Objects that block now. Raises `failed` when the inventory fails."""
        try:
            return _blocking(self.context, self.context.cluster.teardown.inventory())
        except StepError as error:
            progress.note(f"the inventory of what blocks it failed: {error.what}")
            raise failed from error

    def _destroy(self, progress: Progress) -> None:
        self.context.terraform.destroy(self.context.cluster.variables(), progress, self.context.cancel)


@dataclass(frozen=True)
class Sweep(EnvironmentStep):
    """Delete what Terraform does not know of, by the provider's inventory."""

    options: DownOptions
    outcome: Outcome
    found: Slot[list[Leftover]] = field(default_factory=lambda: Slot("objects to sweep"))

    path = "cluster/sweep"
    layer = "sweep"

    def observe(self) -> Difference | None:
        found = _everything(self.context)
        if not self.outcome.seen.filled:
            self.outcome.seen.set(len(found))
        self.found.set([each for each in found if not stays(self.context, self.options, each)])
        going = len(self.found.get())
        return Difference(f"remove {going}") if going else None

    def run(self, progress: Progress) -> None:
        context = self.context
        # After a destroy that failed and was ignored (--force), Terraform's own objects are swept too.
        known = frozenset() if self.options.force else context.terraform.ids()
        found = [each for each in self.found.get() if each.kind != "file" and each.id not in known]
        context.cluster.teardown.sweep(found, progress, context.cancel)
        if self.options.sweep_only and context.terraform.resources():
            return  # Terraform needs its files for the objects that are still in its state
        context.cluster.teardown.destroy_files(keep_data=self.options.keep_data, progress=progress)
        if not self.options.keep_data:
            self._remove_files()

    def _remove_files(self) -> None:
        # A file that the inventory still lists is in use: it stays, as a leftover. Clouds list no files.
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
    """True: it stays on purpose, because of the cloud, an earlier mark, or `--retain`."""
    kinds = {kind for word in options.retain for kind in context.cluster.teardown.retainable[word].kinds}
    return bool(found.keep) or (found.kind in kinds and found.ours)


def _files(context: Context) -> list[Leftover]:
    """The entries of the state folder, except those that stay on purpose."""
    found = sorted(context.state.iterdir()) if context.state.exists() else []
    return [Leftover("file", str(path)) for path in found if path.name not in KEPT]


def _outside(context: Context) -> list[Leftover]:
    """Everything except files, of which `--keep-data` keeps some."""
    return [found for found in context.cluster.teardown.inventory() if found.kind != "file"]


def _everything(context: Context) -> list[Leftover]:
    found = list(context.cluster.teardown.inventory())
    known = {item.id for item in found}
    return found + [file for file in _files(context) if file.id not in known]


@dataclass(frozen=True)
class VerifyDestroyed(EnvironmentStep):
    """Take the inventory again. Every object found is a leftover, and leftovers are exit 7."""

    options: DownOptions
    outcome: Outcome

    path = "cluster/verify"
    layer = "verify"

    def observe(self) -> Difference | None:
        return Difference("look for leftovers")

    def run(self, progress: Progress) -> None:
        context, options = self.context, self.options
        found = _outside(context) if options.keep_data else _everything(context)
        left = [each for each in found if not stays(context, options, each)]
        with_reasons = tuple(context.cluster.teardown.with_reasons(left))
        self.outcome.left.set(with_reasons)
        self.outcome.stays.set(tuple(each for each in found if stays(context, options, each)))
        if left:
            raise _left(context, with_reasons)


def _left(context: Context, left: Sequence[Leftover]) -> LeftoversError:
    sweep = " --sweep-only" if context.cluster.capabilities.external_resources else ""
    return LeftoversError(
        f"{len(left)} left",
        why="\n".join(f"{item.kind} {item.id} {item.detail}".rstrip() for item in left),
        hint="remove what uses them, then run `down` again",
        command=f"mlops-platform down --env {context.environment.name}{sweep}",
    )


@dataclass(frozen=True)
class RemoveRecord(EnvironmentStep):
    """Remove the record outside of this machine: last, since it identifies all other objects."""

    path = "cluster/record"
    layer = "verify"

    def observe(self) -> Difference | None:
        where = self.context.cluster.teardown.record_location()
        return Difference(f"remove {where}") if where else None

    def run(self, progress: Progress) -> None:
        self.context.cluster.teardown.remove_record(progress)
