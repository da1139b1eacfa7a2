"""Owns the Terraform of one environment: unchanged, apply, destroy, recover."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from mlops_platform.adapters.terraform import planning, recovery
from mlops_platform.adapters.terraform.binary import find_binary, identity, locate
from mlops_platform.adapters.terraform.changes import Changes
from mlops_platform.adapters.terraform.folder import Folder, Operation
from mlops_platform.adapters.terraform.planning import SavedPlan
from mlops_platform.adapters.terraform.remote import Remote
from mlops_platform.adapters.terraform.runner import ExitResult, Runner
from mlops_platform.adapters.terraform.state import State
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import PreflightError, StepError
from mlops_platform.base.progress import Progress

_NOT_TAKEN = ("non-existent remote object", "import target does not exist")


class Terraform:
    """One root module, one state. What only asks starts no program; what acts recovers first."""

    def __init__(self, root: Path, folder: Path, remote: Remote | None = None) -> None:
        """`root` is only read. `folder` is made when needed, and holds all that is written; but for the
        state, where it is `remote`."""
        self._folder = Folder(root.absolute(), folder.absolute(), remote)
        self._kept: SavedPlan | None = None

    def unchanged(self, variables: Mapping[str, Any]) -> bool:
        """True when the last run was a complete apply of just this and the state is the one it left.

        False also without a Terraform to apply with. Does not look at what really exists.
        """
        run = self._folder.run()
        if run is None or (run.operation, run.ended) != ("apply", "done"):
            return False
        found = self._folder.read()
        if not isinstance(found, State) or (run.serial, run.lineage) != (found.serial, found.lineage):
            return False
        try:
            binary = identity(locate())
        except PreflightError:
            return False
        return run.digest == self._folder.digest(variables, binary)

    def outputs(self) -> Mapping[str, Any]:
        """Values of the root's outputs as the state has them; empty when there is none."""
        found = self._folder.read()
        return found.outputs if isinstance(found, State) else {}

    def resources(self) -> tuple[str, ...]:
        """Addresses of what exists; with what a killed run may have made, or a line for a lost state.

        Not empty means: there is something to recover or to destroy.
        """
        folder = self._folder
        rescued = folder.rescued()
        if not rescued and (why := folder.lost()):
            return (f"{folder.where} ({why})",)
        found = folder.read()
        known = [
            *(found.resources if isinstance(found, State) else ()),
            *(rescued.resources if rescued else ()),
        ]
        return tuple(dict.fromkeys([*known, *folder.adoptions(), *recovery.unaccounted(folder)]))

    def ids(self) -> frozenset[str]:
        """What the objects in the state are called where they exist."""
        found = self._folder.read()
        return found.ids if isinstance(found, State) else frozenset()

    def protected(self) -> frozenset[str]:
        """Ids of objects that `destroy` fails at while something is in them."""
        found = self._folder.read()
        return found.protected if isinstance(found, State) else frozenset()

    def forget(self, types: Collection[str], progress: Progress, cancel: Cancel) -> tuple[str, ...]:
        """Take objects of these types out of the state, so that `destroy` leaves them; their addresses.

        Raises CommandFailed.
        """
        self.recover(progress, cancel)
        found = self._folder.read()
        known = found.resources if isinstance(found, State) else ()
        chosen = tuple(a for a in known if _type(a) in types)
        if chosen:
            runner = self._runner()
            runner.init(progress, cancel)
            runner.forget(chosen, cancel)
        return chosen

    def recover(self, progress: Progress, cancel: Cancel | None = None) -> None:
        """See recovery.recover. Does nothing, at no cost, when the last run ended as it should."""
        recovery.recover(self._folder, self._runner, progress, cancel)

    def preview(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Changes:
        """What an apply would do; writes nothing of the environment's. Raises CommandFailed."""
        if self.unchanged(variables):
            return Changes()
        return planning.preview(self._folder, find_binary(), variables, progress, cancel)

    def plan(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Changes | None:
        """What the next `apply` of these variables will do, and nothing else; None without a state, when
        nothing is there to be destroyed. Raises CommandFailed. Recover first."""
        self._look_for_left_behind("apply", progress)
        self._kept = planning.keep(self._folder, find_binary(), variables, progress, cancel)
        return self._kept.changes if self._kept else None

    def forget_plan(self) -> None:
        """A plan that was refused, or applied, or left by a run that was killed, is of no use."""
        self._kept = None
        self._folder.plan.unlink(missing_ok=True)

    def apply(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Mapping[str, Any]:
        """Make it so; returns the outputs. A run that `recover` has joined may have done it all.

        Raises CommandFailed with Terraform's diagnostics, StepError when it was killed, Interrupted.
        """
        if not self.unchanged(variables):
            self._run("apply", variables, progress, cancel)
        return self.outputs()

    def destroy(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> None:
        """Destroy all that is in the state. Raises as `apply` does."""
        self._run("destroy", variables, progress, cancel)

    def _run(
        self, operation: Operation, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
    ) -> None:
        folder, runner = self._folder, self._runner()
        folder.make()
        self.recover(progress, cancel)  # a state that is lost must never be taken for an empty one
        self._look_for_left_behind(operation, progress)
        runner.init(progress, cancel)
        if operation == "destroy" and folder.adoptions():
            self._take_in(runner, variables, progress, cancel)
        digest = folder.digest(variables, identity(runner.binary.path))
        plan = self._agreed_plan(digest) if operation == "apply" else None
        run = folder.begin(operation, digest)
        try:
            ending = runner.run(operation, variables, progress, cancel, plan)
        finally:
            self.forget_plan()
        if ending.returncode == 0:
            folder.adopt({})
            folder.end(run, "done", ending.story)
            return
        self._drop_gone(ending, progress)
        if (ending.returncode or 0) > 0:  # killed by a signal it stays unfinished, for `recover`
            folder.end(run, "failed", ending.story)
        runner.raise_for(operation, ending, cancel)

    def _agreed_plan(self, digest: str) -> Path | None:
        """The plan that was kept. Raises StepError for one of what has changed since: nobody has agreed to
        what an apply would do now."""
        kept, folder = self._kept, self._folder
        if kept is None or kept.fits(digest, folder.read(), folder.adoptions()):
            return kept.file if kept else None
        self.forget_plan()
        raise StepError(
            "somebody else has changed what was to be changed, since it was planned",
            why=f"the plan is of serial {kept.serial} of {folder.where}",
            hint="nothing was changed by this run; run the same command again to see what there is to do now",
            transient=True,
        )

    def _look_for_left_behind(self, operation: Operation, progress: Progress) -> None:
        """What the cloud makes by itself, under a name the root wants, stands in the way of an apply."""
        folder = self._folder
        if operation == "apply" and folder.remote:
            found = folder.read()
            known = found.resources if isinstance(found, State) else ()
            left = folder.remote.left_behind([*known, *folder.adoptions()])
            for address, id_ in left.items():
                progress.note(f"{address} ({id_}) is there already and in no state; it is taken in")
            folder.adopt({**folder.adoptions(), **left})

    def _take_in(
        self, runner: Runner, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
    ) -> None:
        """A destroy takes nothing in: what is to be destroyed must be in the state before.

        What an object stands on was made before it, so is in the state or taken in beside it.
        """
        folder = self._folder
        run = folder.begin("apply", "")
        ending = runner.run("apply", variables, progress, cancel, only=tuple(folder.adoptions()))
        if ending.returncode == 0:
            folder.adopt({})
        self._drop_gone(ending, progress)
        if (ending.returncode or 0) >= 0:
            folder.end(run, "failed", ending.story)  # of the whole root it was no apply
        if ending.returncode:
            runner.raise_for("apply", ending, cancel)

    def _drop_gone(self, ending: ExitResult, progress: Progress) -> None:
        """What was to be taken in and is gone by now, or is no longer asked for, must not stand in the way
        of every apply to come."""
        adopted = self._folder.adoptions()
        said = [" ".join(e) for e in ending.story.errors if any(words in " ".join(e) for words in _NOT_TAKEN)]
        named = [address for address in adopted if any(address in text for text in said)]
        refused = named or (list(adopted) if said else [])  # of a target that is in no file no name is said
        for address in refused:
            progress.note(f"{address} ({adopted[address]}) could not be taken in; the next run does without")
        if refused:
            self._folder.adopt({a: id_ for a, id_ in adopted.items() if a not in refused})

    def _runner(self) -> Runner:
        return Runner(self._folder, find_binary())


def _type(address: str) -> str:
    """'aws_s3_bucket' of module.a.aws_s3_bucket.this["x.y"]"""
    found = re.search(r"(?:^|\.)([a-z0-9_]+)\.[\w-]+(?:\[[^]]*\])?$", address)
    return found[1] if found else ""
