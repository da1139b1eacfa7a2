"""Owns destroying the cluster and proving it: an inventory after the fact, leftovers named one by one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from installer.clusters.base import Leftover
from installer.context import Context
from installer.engine.steps import Difference, Slot
from installer.errors import LeftoversError
from installer.progress import Progress

KEPT = ("runs", "environment.yaml", "lock")


@dataclass(frozen=True)
class DestroyCluster:
    """Terraform's part of going down, also when `up` died at any point."""

    context: Context
    requires: tuple[str, ...]
    id: str = "cluster/destroy"
    layer: str = "cluster"

    def observe(self) -> Difference | None:
        resources = self.context.terraform.resources()
        return Difference(f"destroy {len(resources)} resources", destroys=True) if resources else None

    def run(self, progress: Progress) -> None:
        terraform = self.context.terraform
        terraform.recover(progress, self.context.cancel)
        terraform.destroy(self.context.cluster.variables(), progress, self.context.cancel)


@dataclass(frozen=True)
class Sweep:
    """What Terraform does not know of: found by the cluster's own inventory, deleted, said."""

    context: Context
    keep_data: bool
    seen: Slot[int]
    requires: tuple[str, ...] = ("cluster/destroy",)
    id: str = "cluster/sweep"
    layer: str = "sweep"

    def observe(self) -> Difference | None:
        found = _everything(self.context)
        self.seen.set(len(found))
        return Difference(f"remove {len(found)}") if found else None

    def run(self, progress: Progress) -> None:
        context = self.context
        context.cluster.sweep(_outside(context), progress)
        context.cluster.destroy_files(keep_data=self.keep_data, progress=progress)
        if self.keep_data:
            return
        # What the inventory still lists is in use: it stays, for the proof to name.
        listed = [Path(found.id) for found in context.cluster.inventory()]
        for path in (Path(file.id) for file in _files(context)):
            if not any(path in (each, *each.parents) for each in listed):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _files(context: Context) -> list[Leftover]:
    """All that lies in the state folder, but what stays on purpose."""
    found = sorted(context.state.iterdir()) if context.state.exists() else []
    return [Leftover("file", str(path)) for path in found if path.name not in KEPT]


def _outside(context: Context) -> list[Leftover]:
    """Everything but files: those are removed apart, because `--keep-data` keeps some of them."""
    return [found for found in context.cluster.inventory() if found.kind != "file"]


def _everything(context: Context) -> list[Leftover]:
    found = list(context.cluster.inventory())
    known = {item.id for item in found}
    return found + [file for file in _files(context) if file.id not in known]


@dataclass(frozen=True)
class Prove:
    """Looks again. Anything found is a leftover, and a leftover is never exit 0."""

    context: Context
    keep_data: bool
    found: Slot[tuple[Leftover, ...]]
    requires: tuple[str, ...] = ("cluster/sweep",)
    id: str = "cluster/proof"
    layer: str = "proof"

    def observe(self) -> Difference | None:
        return Difference("look for what is left")

    def run(self, progress: Progress) -> None:
        left = tuple(_outside(self.context) if self.keep_data else _everything(self.context))
        self.found.set(left)
        if left:
            raise LeftoversError(
                f"{len(left)} left",
                why="\n".join(f"{item.kind} {item.id} {item.detail}".rstrip() for item in left),
                hint="end what holds them, then run down again",
                command=f"mlops-platform down --env {self.context.environment.name}",
            )
