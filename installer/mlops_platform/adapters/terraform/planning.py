"""Plans: the changes of an apply, computed without writing the state, and saved plans to apply."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlops_platform.adapters.process import run
from mlops_platform.adapters.terraform import changes
from mlops_platform.adapters.terraform.binary import Binary, identity
from mlops_platform.adapters.terraform.changes import Changes
from mlops_platform.adapters.terraform.events import EventLog
from mlops_platform.adapters.terraform.folder import Folder
from mlops_platform.adapters.terraform.runner import Runner, json_text
from mlops_platform.adapters.terraform.state import State
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed
from mlops_platform.base.files import write_private
from mlops_platform.base.progress import Progress

_SECONDS = 1800.0
# An override file replaces the whole backend block: https://developer.hashicorp.com/terraform/language/files/override
_LOCAL = 'terraform {\n  backend "local" {}\n}\n'
_OVERRIDE = "nothing_yet_override.tf"


@dataclass(frozen=True)
class SavedPlan:
    """A plan file for one digest of root, variables and binary, and one version of the state."""

    file: Path
    digest: str
    serial: int
    lineage: str
    imports: Mapping[str, str]
    changes: Changes

    def fits(self, digest: str, state: object, imports: Mapping[str, str]) -> bool:
        """True if the plan is not stale. Terraform checks this too, but only after starting a provider."""
        known = isinstance(state, State) and (state.serial, state.lineage) == (self.serial, self.lineage)
        return known and (digest, imports) == (self.digest, self.imports)


def keep(
    folder: Folder, binary: Binary, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
) -> SavedPlan | None:
    """Plan against the current state and save the plan to apply it. None if there is no state."""
    found = folder.read()
    if not isinstance(found, State):
        return None
    runner = Runner(folder, binary)
    runner.init(progress, cancel)
    digest = folder.digest(variables, identity(binary.path))
    changes = _plan(runner, folder.plan, variables, progress, cancel).marked(folder.incomplete())
    return SavedPlan(folder.plan, digest, found.serial, found.lineage, folder.imports(), changes)


def preview(
    folder: Folder, binary: Binary, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
) -> Changes:
    """Plan in a temporary folder; no file of the environment is written.

    The large providers of the last run are used if they fit, otherwise `init` fetches them. Without a state
    its bucket may not exist yet either, so the plan uses an empty local state.
    """
    runner = Runner(folder, binary)
    with TemporaryDirectory(prefix="mlops-platform-plan-") as place:
        if not (runner.ready and isinstance(folder.read(), State)):
            runner = Runner(_scratch(folder, Path(place)), binary)
            runner.init(progress, cancel)
        planned = _plan(runner, Path(place) / folder.plan.name, variables, progress, cancel)
    return planned.marked(folder.incomplete())


def _scratch(folder: Folder, place: Path) -> Folder:
    found = folder.read()
    scratch = replace(folder, path=place / "terraform", linked=True, remote=folder.remote if found else None)
    scratch.make()
    if found is None:
        scratch.work.mkdir()
        (scratch.work / _OVERRIDE).write_text(_LOCAL)
    elif scratch.remote is None:
        shutil.copyfile(folder.state, scratch.state)
    return scratch


def _plan(
    runner: Runner, out: Path, variables: Mapping[str, Any], progress: Progress, cancel: Cancel
) -> Changes:
    """Plan without a lock: a plan writes no state, and `apply` rejects a stale plan."""
    progress.say("plan")
    folder, log = runner.folder, EventLog()
    file = out.with_suffix(".tfvars.json")  # the file of the last apply stays as it is
    write_private(file, json_text(variables))
    argv = runner.argv("plan", json=True, input=False, lock=False, out=str(out), var_file=str(file))
    ended = run(
        argv,
        env=runner.environment(),
        cwd=folder.work,
        seconds=_SECONDS,
        ok=(0, 1),
        cancel=cancel,
        on_line=lambda line: log.line(line, progress),
        what=f"{runner.binary.product} plan",
    )
    if ended.returncode:
        raise CommandFailed(
            f"{runner.binary.product} plan: {log.errors[0][0] if log.errors else 'exit 1'}",
            returncode=1,
            why=log.why,
            command="",
        )
    out.chmod(0o600)
    # Reading a plan loads the provider's schema again; a plan that only creates needs no details.
    created = changes.only_created(ended.stdout)
    return _read(runner, out, cancel) if created is None else created


def _read(runner: Runner, out: Path, cancel: Cancel) -> Changes:
    shown = run(
        runner.argv("show", str(out), json=True, no_color=True),
        env=runner.environment(),
        cwd=runner.folder.work,
        seconds=_SECONDS,
        cancel=cancel,
        what=f"{runner.binary.product} show",
    )
    return changes.parse(shown.stdout)
