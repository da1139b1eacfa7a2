"""Recovery from a killed run: join it if it still runs, otherwise repair lock, state and imports."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from mlops_platform.adapters.process import ProcessId, command_line
from mlops_platform.adapters.terraform import stale, state
from mlops_platform.adapters.terraform.events import EventLog, Tail
from mlops_platform.adapters.terraform.folder import Folder, Run, boot_id
from mlops_platform.adapters.terraform.runner import Runner, follow, recorded_process, session
from mlops_platform.adapters.terraform.state import State
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import Interrupted, LockedError, StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.progress import Progress, Silent

_ORPHAN_SECONDS = 900.0


def recover(
    folder: Folder, runner: Callable[[], Runner], progress: Progress, cancel: Cancel | None = None
) -> None:
    """Repair the state after a killed run, and note every repair.

    Objects that exist and are in no state are listed for the next apply to import (Folder.set_imports).

    Raises LockedError if another Terraform works on the state, StepError if the state is lost, Interrupted
    if Ctrl-C stopped a joined Terraform.
    """
    run = folder.run()
    unfinished = run is not None and not run.ended
    log = EventLog()
    if run and unfinished:
        log = _finish(folder, run, progress, cancel)
    _release_lock(folder, progress)
    _take_rescued(folder, progress)
    restored = _restore(folder, run, progress)
    if run and (restored or unfinished):
        if not unfinished:
            Tail(folder.events).feed(log, Silent())
        if not log.succeeded or restored:
            _account_for(folder, run, log, runner, progress, cancel)
        if unfinished:
            folder.end(run, "done" if log.succeeded else "failed", log)
    elif run and run.ended == "failed":
        _find_failed_creations(folder, progress, cancel)
    if cancel and cancel.requested:
        raise Interrupted("interrupted", hint="run the same command again to continue")


def unaccounted(folder: Folder) -> tuple[str, ...]:
    """Objects that an unfinished run may have made beyond the state, and the run itself if it still runs."""
    run = folder.run()
    if run is None or run.ended:
        return ()
    log = EventLog()
    Tail(folder.events).feed(log, Silent())
    process = _alive(folder, run)
    running = (f"{run.operation} of {run.since}, pid {process.pid}",) if process else ()
    return tuple(a for a, action in log.started.items() if action == "create") or running


def _finish(folder: Folder, run: Run, progress: Progress, cancel: Cancel | None) -> EventLog:
    """Wait for an unfinished run that still runs, and note its result."""
    process = _alive(folder, run)
    if process:
        progress.note(f"joined the Terraform {run.operation} of {run.since}, pid {process.pid}")
    log = follow(folder, process, progress, cancel)
    if run.boot == boot_id():
        _wait_for_orphans(recorded_process(folder), progress, cancel)
    if log.succeeded:
        progress.note(f"the {run.operation} of {run.since} ended by itself after our command line was killed")
    elif log.errors:
        progress.note(f"the {run.operation} of {run.since} had failed: {log.errors[0][0]}")
    else:
        progress.note(f"the {run.operation} of {run.since} was killed")
    return log


def _alive(folder: Folder, run: Run) -> ProcessId | None:
    process = recorded_process(folder)
    return process if process and run.boot == boot_id() and process.alive else None


def _wait_for_orphans(leader: ProcessId | None, progress: Progress, cancel: Cancel | None) -> None:
    """Wait for the provisioners of a killed Terraform: started again beside them, they would act twice."""
    if leader is None:
        return

    def observe() -> bool | Pending:
        left = session(leader)
        return Pending(f"a process of the killed Terraform: {_named(left[0].pid)}") if left else True

    wait_until(
        "the end of the processes of a killed Terraform",
        observe,
        seconds=_ORPHAN_SECONDS,
        cancel=cancel,
        on_seen=progress.say,
        longest_delay=0.2,
        hint="end that process, then run the same command again",
        command=f"ps -o pid,etime,args --sid {leader.pid}",
    )


def _release_lock(folder: Folder, progress: Progress) -> None:
    """Check the kernel's lock on the state, and remove the lock file of a dead process."""
    if folder.remote:
        stale.release(folder, folder.remote, progress)
        return
    holder = state.lock_holder(folder.state)
    if holder is not None:
        raise LockedError(
            f"another Terraform works on this state: pid {holder}",
            why=_named(holder),
            hint="wait for its end; this run has changed nothing",
            command=f"ps -o pid,user,lstart,args -p {holder}",
        )
    file = state.lock_file(folder.state)
    if file.exists():
        try:
            said = json.loads(file.read_text())
            origin = f"of {said['Who']}, {said['Operation']}, since {said['Created']}"
        except (ValueError, KeyError, TypeError):  # truncated by the same kill
            origin = "of a process that has ended"
        file.unlink()
        progress.note(f"released the state lock {origin}")


def _take_rescued(folder: Folder, progress: Progress) -> None:
    """Restore a state that Terraform saved in the root because the disk was full, like `state push`."""
    rescued = folder.rescued()
    if rescued:
        folder.write(folder.errored.read_text())
        folder.errored.unlink()
        progress.note(f"restored the state that Terraform could not save from {folder.errored}")


def _restore(folder: Folder, run: Run | None, progress: Progress) -> bool:
    """Restore a lost state from Terraform's own backup. True if that was necessary."""
    why = folder.lost()
    if not why:
        return False
    aside = folder.path / f"terraform.tfstate.broken-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if run and not run.ended and run.serial is None:
        folder.state.rename(aside)
        progress.note(f"the first state was truncated during its write ({why}); moved to {aside.name}")
        return True
    backup = state.read(folder.backup)
    if not isinstance(backup, State) or (run and run.lineage not in ("", backup.lineage)):
        raise StepError(
            f"the Terraform state is lost: {folder.state}",
            why=f"{why}; there is no usable backup beside it",
            hint="restore the file from a copy, or move the folder away: `down` then finds what is left",
            command=f"mv {folder.path} {folder.path}.broken",
        )
    if folder.state.exists():
        folder.state.rename(aside)
    write_private(folder.state, folder.backup.read_text())
    progress.note(
        f"the state was lost ({why}) and is restored from its backup: serial {backup.serial}, "
        f"{len(backup.resources)} resources"
    )
    return True


def _account_for(
    folder: Folder,
    run: Run,
    log: EventLog,
    runner: Callable[[], Runner],
    progress: Progress,
    cancel: Cancel | None,
) -> None:
    """Compare the creations in Terraform's events with the objects in the state."""
    found = folder.read()
    known = found.resources if isinstance(found, State) else ()
    held = found.ids if isinstance(found, State) else frozenset()
    tainted = found.tainted if isinstance(found, State) else frozenset()
    created = [a for a, action in log.started.items() if action == "create"]
    # Replaced after the last write of the state, which has the destroyed object at that address. Its id
    # differs, or, if the id is a name, it is tainted. An unfinished creation has no id yet.
    newer = {a for a, m in log.made.items() if a in tainted or m.id not in ("", *held)}
    missed = [a for a in created if a not in known or a in newer or a not in log.made]
    made = {a: log.made[a] for a in missed if a in log.made}
    if folder.remote:
        # The provider of the remote state knows the import id of each type, often not the id in the event.
        asked = [a for a in missed if not (a in made and made[a].built_in)]
        exists = dict(folder.remote.import_ids(asked, progress, cancel))
    else:
        exists = {a: each.id for a, each in made.items() if each.id and not each.built_in}
    exists = {a: id_ for a, id_ in exists.items() if a not in known or a in newer or id_ not in held}
    missing = [a for a in missed if a not in known or a in newer or a in exists]
    for address in missing:
        if address in made:
            text = f"{address} ({made[address].id or 'no id known'}) was made and is in no state"
            rest = "Terraform creates it again"
        else:
            text = f"{address} was being made when the {run.operation} was killed"
            rest = "it may be incomplete"
        progress.note(f"{text}; {f'it is imported ({exists[address]})' if address in exists else rest}")
    if outdated := [a for a in missing if a in known and a in exists]:
        tool = runner()
        tool.init(progress, None)
        tool.state_rm(outdated, None)
    folder.set_imports({**{to: id_ for to, id_ in folder.imports().items() if to not in known}, **exists})


def _find_failed_creations(folder: Folder, progress: Progress, cancel: Cancel | None) -> None:
    """Find objects of failed creations: an object may exist although the provider never got its id, so that
    it is in no state even if the run ended and saved its state."""
    log = EventLog()
    Tail(folder.events).feed(log, Silent())
    if folder.remote is None or not log.incomplete:
        return
    found = folder.read()
    known = found.resources if isinstance(found, State) else ()
    asked = sorted(log.incomplete - {*known, *folder.imports()})
    exists = folder.remote.import_ids(asked, progress, cancel)
    for address, id_ in exists.items():
        progress.note(f"{address} exists although its creation failed; it is imported ({id_})")
    folder.set_imports({**folder.imports(), **exists})


def _named(pid: int) -> str:
    command = " ".join(command_line(pid)).strip()
    return f"pid {pid}: {command}" if command else f"pid {pid}"
