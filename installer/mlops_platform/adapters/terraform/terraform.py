"""Terraform of one environment: plan, apply, destroy, recover."""

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

_NOT_IMPORTED = ("non-existent remote object", "import target does not exist")


class Terraform:
    """One root module with one state. Queries start no program; changes recover first."""

    def __init__(self, root: Path, folder: Path, remote: Remote | None = None) -> None:
        """`root` is only read. `folder` is created if needed; all files are written there, except the state
        if it is `remote`."""
        self._folder = Folder(root.absolute(), folder.absolute(), remote)
        self._saved_plan: SavedPlan | None = None

    def unchanged(self, variables: Mapping[str, Any]) -> bool:
        """True if the last run was a complete apply of these variables and the state is the one it left.

        False also without a Terraform binary. The real objects are not checked.
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
        """The root's outputs in the state; empty without a state."""
        found = self._folder.read()
        return found.outputs if isinstance(found, State) else {}

    def resources(self) -> tuple[str, ...]:
        """Addresses in the state, of objects that a killed run may have made, or a line for a lost state.

        Not empty means that there is something to recover or to destroy.
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
        return tuple(dict.fromkeys([*known, *folder.imports(), *recovery.unaccounted(folder)]))

    def ids(self) -> frozenset[str]:
        """Ids of the objects in the state."""
        found = self._folder.read()
        return found.ids if isinstance(found, State) else frozenset()

    def protected(self) -> frozenset[str]:
        """Ids of objects that `destroy` deletes only when they are empty."""
        found = self._folder.read()
        return found.protected if isinstance(found, State) else frozenset()

    def state_rm(self, types: Collection[str], progress: Progress, cancel: Cancel) -> tuple[str, ...]:
        """Remove objects of these types from the state, so that `destroy` keeps them; returns the addresses.

        Raises CommandFailed.
        """
        self.recover(progress, cancel)
        found = self._folder.read()
        known = found.resources if isinstance(found, State) else ()
        chosen = tuple(a for a in known if _type(a) in types)
        if chosen:
            runner = self._runner()
            runner.init(progress, cancel)
            runner.state_rm(chosen, cancel)
        return chosen

    def recover(self, progress: Progress, cancel: Cancel | None = None) -> None:
        """Recover from a killed run (recovery.recover); does nothing if the last run ended normally."""
        recovery.recover(self._folder, self._runner, progress, cancel)

    def preview(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Changes:
        """The changes that an apply would make; writes no file of the environment. Raises CommandFailed."""
        if self.unchanged(variables):
            return Changes()
        return planning.preview(self._folder, find_binary(), variables, progress, cancel)

    def plan(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Changes | None:
        """Save a plan for the next `apply` of these variables, and return its changes; None without a state.

        Call `recover` first. Raises CommandFailed.
        """
        self._look_for_left_behind("apply", progress)
        self._saved_plan = planning.keep(self._folder, find_binary(), variables, progress, cancel)
        return self._saved_plan.changes if self._saved_plan else None

    def discard_plan(self) -> None:
        """Remove the saved plan after it was declined or applied, or if a killed run left it."""
        self._saved_plan = None
        self._folder.plan.unlink(missing_ok=True)

    def apply(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> Mapping[str, Any]:
        """Apply, and return the outputs. Nothing is left to apply if `recover` has joined a run that did it.

        Raises CommandFailed with Terraform's diagnostics, StepError if Terraform was killed, Interrupted.
        """
        if not self.unchanged(variables):
            self._run("apply", variables, progress, cancel)
        return self.outputs()

    def destroy(self, variables: Mapping[str, Any], progress: Progress, cancel: Cancel) -> None:
        """Destroy all objects in the state. Raises the same errors as `apply`."""
        self._run("destroy", variables, progress, cancel)

    def _run(
        self, operation: Operation, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
    ) -> None:
        folder, runner = self._folder, self._runner()
        folder.make()
        self.recover(progress, cancel)  # a lost state must not be treated as an empty one
        self._look_for_left_behind(operation, progress)
        runner.init(progress, cancel)
        if operation == "destroy" and folder.imports():
            self._import(runner, variables, progress, cancel)
        digest = folder.digest(variables, identity(runner.binary.path))
        plan = self._agreed_plan(digest) if operation == "apply" else None
        run = folder.begin(operation, digest)
        try:
            result = runner.run(operation, variables, progress, cancel, plan)
        finally:
            self.discard_plan()
        if result.returncode == 0:
            folder.set_imports({})
            folder.end(run, "done", result.log)
            return
        self._drop_gone(result, progress)
        if (result.returncode or 0) > 0:  # a run killed by a signal stays unfinished, for `recover`
            folder.end(run, "failed", result.log)
        runner.raise_for(operation, result, cancel)

    def _agreed_plan(self, digest: str) -> Path | None:
        """The saved plan's file. Raises StepError if the plan is stale."""
        saved, folder = self._saved_plan, self._folder
        if saved is None or saved.fits(digest, folder.read(), folder.imports()):
            return saved.file if saved else None
        self.discard_plan()
        raise StepError(
            "the saved plan is stale: the state, the variables or the root changed after the plan",
            why=f"the plan is for serial {saved.serial} of {folder.where}",
            hint="run the same command again to see the current plan; this run has changed nothing",
            transient=True,
        )

    def _look_for_left_behind(self, operation: Operation, progress: Progress) -> None:
        """Import objects that the cloud created under a name of the root: an apply would fail on them."""
        folder = self._folder
        if operation == "apply" and folder.remote:
            found = folder.read()
            known = found.resources if isinstance(found, State) else ()
            left = folder.remote.left_behind([*known, *folder.imports()])
            for address, id_ in left.items():
                progress.note(f"{address} ({id_}) exists already and is in no state; it is imported")
            folder.set_imports({**folder.imports(), **left})

    def _import(
        self, runner: Runner, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
    ) -> None:
        """Import before a destroy, which imports nothing by itself.

        The dependencies of an object were created before it, so they are in the state or imported with it.
        """
        folder = self._folder
        run = folder.begin("apply", "")
        result = runner.run("apply", variables, progress, cancel, only=tuple(folder.imports()))
        if result.returncode == 0:
            folder.set_imports({})
        self._drop_gone(result, progress)
        if (result.returncode or 0) >= 0:
            folder.end(run, "failed", result.log)  # it was no apply of the whole root
        if result.returncode:
            runner.raise_for("apply", result, cancel)

    def _drop_gone(self, result: ExitResult, progress: Progress) -> None:
        """Drop imports of objects that no longer exist or are no longer in the root: they would make every
        later apply fail."""
        imports = self._folder.imports()
        said = [
            " ".join(e) for e in result.log.errors if any(words in " ".join(e) for words in _NOT_IMPORTED)
        ]
        named = [address for address in imports if any(address in text for text in said)]
        gone = named or (list(imports) if said else [])  # Terraform does not name a target that is in no file
        for address in gone:
            progress.note(
                f"{address} ({imports[address]}) could not be imported; the next run does not try again"
            )
        if gone:
            self._folder.set_imports({a: id_ for a, id_ in imports.items() if a not in gone})

    def _runner(self) -> Runner:
        return Runner(self._folder, find_binary())


def _type(address: str) -> str:
    """The type in an address: 'aws_s3_bucket' in module.a.aws_s3_bucket.this["x.y"]."""
    found = re.search(r"(?:^|\.)([a-z0-9_]+)\.[\w-]+(?:\[[^]]*\])?$", address)
    return found[1] if found else ""
