"""Owns recovery: a run that was killed is joined or cleared up, before anything else is started."""

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
    """Leave behind a state one can go on from. Notes say all that was done.

    Objects that exist and are in no state are left for the next apply to take in (Folder.adopt).

    Raises LockedError when a Terraform that is not ours works on the state, StepError when the state
    is lost, Interrupted when a joined Terraform was stopped by Ctrl-C.
    """
    run = folder.run()
    unfinished = run is not None and not run.ended
    story = EventLog()
    if run and unfinished:
        story = _finish(folder, run, progress, cancel)
    _release_lock(folder, progress)
    _take_rescued(folder, progress)
    restored = _restore(folder, run, progress)
    if run and (restored or unfinished):
        if not unfinished:
            Tail(folder.events).feed(story, Silent())
        if not story.succeeded or restored:
            _account_for(folder, run, story, runner, progress, cancel)
        if unfinished:
            folder.end(run, "done" if story.succeeded else "failed", story)
    elif run and run.ended == "failed":
        _find_unsaid(folder, progress, cancel)
    if cancel and cancel.requested:
        raise Interrupted("interrupted", hint="run the same command again to go on")


def unaccounted(folder: Folder) -> tuple[str, ...]:
    """What a run that did not end may have made beyond the state, and the run itself if it goes on."""
    run = folder.run()
    if run is None or run.ended:
        return ()
    story = EventLog()
    Tail(folder.events).feed(story, Silent())
    process = _alive(folder, run)
    running = (f"{run.operation} of {run.since}, pid {process.pid}",) if process else ()
    return tuple(a for a, action in story.started.items() if action == "create") or running


def _finish(folder: Folder, run: Run, progress: Progress, cancel: Cancel | None) -> EventLog:
    """Wait for what goes on of an unfinished run, and say how it ended."""
    process = _alive(folder, run)
    if process:
        progress.note(f"joined the Terraform {run.operation} of {run.since}, pid {process.pid}")
    story = follow(folder, process, progress, cancel)
    if run.boot == boot_id():
        _outlast_orphans(recorded_process(folder), progress, cancel)
    if story.succeeded:
        progress.note(f"the {run.operation} of {run.since} went on to its end without us")
    elif story.errors:
        progress.note(f"the {run.operation} of {run.since} had failed: {story.errors[0][0]}")
    else:
        progress.note(f"the {run.operation} of {run.since} was killed")
    return story


def _alive(folder: Folder, run: Run) -> ProcessId | None:
    process = recorded_process(folder)
    return process if process and run.boot == boot_id() and process.alive else None


def _outlast_orphans(leader: ProcessId | None, progress: Progress, cancel: Cancel | None) -> None:
    """A killed Terraform's provisioners live on; started anew beside them, they would do all twice."""
    if leader is None:
        return

    def observe() -> bool | Pending:
        left = session(leader)
        return Pending(f"what the killed Terraform had started: {_named(left[0].pid)}") if left else True

    wait_until(
        "the end of what a killed Terraform had started",
        observe,
        seconds=_ORPHAN_SECONDS,
        cancel=cancel,
        on_seen=progress.say,
        longest_delay=0.2,
        hint="end it, then run the same command again",
        command=f"ps -o pid,etime,args --sid {leader.pid}",
    )


def _release_lock(folder: Folder, progress: Progress) -> None:
    """The kernel's lock decides. The file beside it only says who; left by a dead one it is removed."""
    if folder.remote:
        stale.release(folder, folder.remote, progress)
        return
    holder = state.lock_holder(folder.state)
    if holder is not None:
        raise LockedError(
            f"another Terraform works on this state: pid {holder}",
            why=_named(holder),
            hint="wait for it to end; nothing was touched",
            command=f"ps -o pid,user,lstart,args -p {holder}",
        )
    file = state.lock_file(folder.state)
    if file.exists():
        try:
            said = json.loads(file.read_text())
            whose = f"of {said['Who']}, {said['Operation']}, since {said['Created']}"
        except (ValueError, KeyError, TypeError):  # cut off by the same kill
            whose = "of a process that is gone"
        file.unlink()
        progress.note(f"released the state lock {whose}")


def _take_rescued(folder: Folder, progress: Progress) -> None:
    """With its disk full, Terraform saves the state in the root: the same as its `state push` of it."""
    rescued = folder.rescued()
    if rescued:
        folder.write(folder.errored.read_text())
        folder.errored.unlink()
        progress.note(f"took the state that could not be saved from {folder.errored}")


def _restore(folder: Folder, run: Run | None, progress: Progress) -> bool:
    """Put a lost state back from Terraform's own backup. True when that was needed and done."""
    why = folder.lost()
    if not why:
        return False
    aside = folder.path / f"terraform.tfstate.broken-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if run and not run.ended and run.serial is None:
        folder.state.rename(aside)
        progress.note(f"the first state was cut off while being written ({why}); kept as {aside.name}")
        return True
    backup = state.read(folder.backup)
    if not isinstance(backup, State) or (run and run.lineage not in ("", backup.lineage)):
        raise StepError(
            f"the record of what exists is lost: {folder.state}",
            why=f"{why}; and there is no usable backup beside it",
            hint="put a copy back; or move the folder away: `down` then finds what is left by itself",
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
    story: EventLog,
    runner: Callable[[], Runner],
    progress: Progress,
    cancel: Cancel | None,
) -> None:
    """Compare what Terraform said it made, or had begun to make, with what its state holds."""
    found = folder.read()
    known = found.resources if isinstance(found, State) else ()
    held = found.ids if isinstance(found, State) else frozenset()
    tainted = found.tainted if isinstance(found, State) else frozenset()
    created = [a for a, action in story.started.items() if action == "create"]
    # Replaced since the state was written: at its address the state has what was destroyed first. Its id
    # tells, or, where that is a name, the taint the new one does not have. What was only begun has no id yet.
    newer = {a for a, m in story.made.items() if a in tainted or m.id not in ("", *held)}
    missed = [a for a in created if a not in known or a in newer or a not in story.made]
    made = {a: story.made[a] for a in missed if a in story.made}
    if folder.remote:
        # Whoever keeps the state knows what each kind is imported by, which is often not what the event says.
        asked = [a for a in missed if not (a in made and made[a].built_in)]
        exists = dict(folder.remote.import_ids(asked, progress, cancel))
    else:
        exists = {a: each.id for a, each in made.items() if each.id and not each.built_in}
    exists = {a: id_ for a, id_ in exists.items() if a not in known or a in newer or id_ not in held}
    begun = [a for a in missed if a not in known or a in newer or a in exists]
    for address in begun:
        if address in made:
            told = f"{address} ({made[address].id or 'no id known'}) was made and is in no state"
            rest = "Terraform makes it again"
        else:
            told = f"{address} was being made when the {run.operation} was killed"
            rest = "it may be half made"
        progress.note(f"{told}; {f'it is taken in ({exists[address]})' if address in exists else rest}")
    if outdated := [a for a in begun if a in known and a in exists]:
        tool = runner()
        tool.init(progress, None)
        tool.forget(outdated, None)
    folder.adopt({**{to: id_ for to, id_ in folder.adoptions().items() if to not in known}, **exists})


def _find_unsaid(folder: Folder, progress: Progress, cancel: Cancel | None) -> None:
    """A creation that failed may have made its object all the same, before its provider knew the id: a run
    that ended in order, with its state saved, leaves that in no state."""
    story = EventLog()
    Tail(folder.events).feed(story, Silent())
    if folder.remote is None or not story.unmade:
        return
    found = folder.read()
    known = found.resources if isinstance(found, State) else ()
    asked = sorted(story.unmade - {*known, *folder.adoptions()})
    exists = folder.remote.import_ids(asked, progress, cancel)
    for address, id_ in exists.items():
        progress.note(f"{address} was made though its creation failed; it is taken in ({id_})")
    folder.adopt({**folder.adoptions(), **exists})


def _named(pid: int) -> str:
    command = " ".join(command_line(pid)).strip()
    return f"pid {pid}: {command}" if command else f"pid {pid}"
