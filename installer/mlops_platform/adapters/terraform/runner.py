"""Owns a running Terraform: its arguments, its environment, following it, stopping it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops_platform.adapters.process import ProcessId, pasteable, run, spawn, tail
from mlops_platform.adapters.terraform.binary import Binary, identity
from mlops_platform.adapters.terraform.events import EventLog, Tail
from mlops_platform.adapters.terraform.folder import Folder, Operation
from mlops_platform.adapters.wait import Pending, wait_until
from mlops_platform.base.cancel import Cancel
from mlops_platform.base.errors import CommandFailed, Interrupted, StepError
from mlops_platform.base.files import write_private
from mlops_platform.base.progress import Progress

_INIT_SECONDS = 900.0
_LONGEST_SECONDS = 6 * 3600.0
_LOCK_TIMEOUT = "10s"
# Says who it is before it becomes Terraform: were that ours to write, a kill could come in between.
_SAY_WHO = 'read -r stat </proc/$$/stat && echo "$stat" >"$0" && exec "$@"'
_GRACE_SECONDS = 1.0
_ALMOST_NOTHING_BYTES = 1_000_000


@dataclass(frozen=True)
class ExitResult:
    """How a Terraform ended: `returncode` is negative for a signal, None when it was not our child."""

    story: EventLog
    returncode: int | None


@dataclass(frozen=True)
class Runner:
    """Starts one binary on one folder."""

    folder: Folder
    binary: Binary

    def _wanted(self) -> str:
        return f"{self.folder.root_digest()} {identity(self.binary.path)} {self.folder.where}"

    @property
    def ready(self) -> bool:
        """False when the root, the binary or the place of the state is another than `init` was done for."""
        done = self.folder.initialised
        return self.folder.data.is_dir() and done.exists() and done.read_text() == self._wanted()

    def init(self, progress: Progress, cancel: Cancel | None) -> None:
        """Only when it is not ready."""
        folder = self.folder
        folder.link()
        if self.ready:
            return
        folder.initialised.unlink(missing_ok=True)
        progress.say("init")
        flags: dict[str, Any] = {
            "input": False,
            "backend_config": {k: _spelt(v) for k, v in folder.backend_config().items()},
            # A state folder that was moved is not a migration, about which `init` would ask.
            "reconfigure": True,
            # The root may be shared and read-only; a lock file that does not fit is to be said, not mended.
            "lockfile": "readonly" if (folder.root / ".terraform.lock.hcl").exists() else None,
            "no_color": True,
        }
        run(
            self.argv("init", **flags),
            env=self.environment(),
            cwd=folder.work,
            seconds=_INIT_SECONDS,
            cancel=cancel,
            what=f"{self.binary.product} init",
            hint="its providers must be reachable: by its registry, a mirror or a cache of yours",
        )
        write_private(folder.initialised, self._wanted())

    def run(
        self,
        operation: Operation,
        variables: Mapping[str, Any],
        progress: Progress,
        cancel: Cancel,
        plan: Path | None = None,
        only: Sequence[str] = (),
    ) -> ExitResult:
        """Start, follow to the end. The caller has recorded the run. `plan` is a file to apply as it is;
        `only` are addresses to which it is kept."""
        self.folder.link()
        write_private(self.folder.variables, json_text(variables))
        flags: dict[str, Any] = {"json": True, "input": False, "lock_timeout": _LOCK_TIMEOUT}
        if plan is None:
            flags |= {"auto_approve": True, "var_file": str(self.folder.variables), "target": list(only)}
        argv = self.argv(operation, *([str(plan)] if plan else []), **flags)
        child = spawn(
            ["/bin/sh", "-c", _SAY_WHO, str(self.folder.process), *argv],
            stdout=self.folder.events,
            stderr=self.folder.stderr_lines,
            env=self.environment(),
            cwd=self.folder.work,
        )
        story = follow(self.folder, ProcessId.of(child.pid), progress, cancel)
        return ExitResult(story, child.wait())

    def forget(self, addresses: Sequence[str], cancel: Cancel | None) -> None:
        """Take objects out of the state; they stay where they are. Raises CommandFailed."""
        run(
            self.argv("state rm", *addresses, lock_timeout=_LOCK_TIMEOUT),
            env=self.environment(),
            cwd=self.folder.work,
            seconds=_INIT_SECONDS,
            cancel=cancel,
        )

    def argv(self, command: str, *arguments: str, **flags: Any) -> list[str]:
        """python-terraform spells the flags; its running of programs is not used (docs/terraform.md)."""
        from python_terraform import IsFlagged
        from python_terraform import Terraform as Library

        # Its constructor parses a terraform.tfstate in the working directory, whatever is in it.
        library = Library(working_dir=os.devnull, terraform_bin_path=str(self.binary.path))
        spelt = {name: IsFlagged if value is True else value for name, value in flags.items()}
        made: list[str] = library.generate_cmd_string(command, *arguments, **spelt)
        return made

    def environment(self) -> dict[str, str]:
        """What is ours to say; a user's TF_WORKSPACE or TF_CLI_ARGS would speak of another state."""
        foreign = (n for n in os.environ if n == "TF_WORKSPACE" or n.startswith("TF_CLI_ARGS"))
        return {
            **dict.fromkeys(foreign, ""),
            "TF_DATA_DIR": str(self.folder.data),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }

    def command(self, operation: str) -> str:
        """What a person would type to see the same: readable output, and a question before it acts."""
        argv = [
            str(self.binary.path),
            f"-chdir={self.folder.work}",
            operation,
            f"-var-file={self.folder.variables}",
        ]
        return pasteable(argv, {"TF_DATA_DIR": str(self.folder.data)})

    def raise_for(self, operation: Operation, ending: ExitResult, cancel: Cancel) -> None:
        """The error for a run that did not succeed."""
        what = f"{self.binary.product} {operation}"
        why = ending.story.why or tail(_text(self.folder.stderr_lines)) or self._full()
        if cancel.requested:
            saved = "it was killed" if cancel.forced else "its state is saved"
            raise Interrupted(
                f"{what}: interrupted; {saved}", why=why, hint="run the same command again to go on"
            )
        code = ending.returncode or 0
        if code < 0:
            name = signal.Signals(-code).name
            raise StepError(
                f"{what}: killed ({name})",
                why=why or "not by us: perhaps memory ran out",
                hint="run the same command again: what it had made is found first",
                command="dmesg | tail",
                transient=True,
            )
        first = ending.story.errors[0][0] if ending.story.errors else f"exit {code}"
        raise CommandFailed(
            f"{what}: {first}",
            returncode=code,
            why=why,
            command=self.command(operation),
            hint="what was made is in its state; mend the cause and run the same command again",
        )

    def _full(self) -> str:
        """A full disk takes Terraform's own words about it too."""
        free = shutil.disk_usage(self.folder.path).free
        return f"the disk of {self.folder.path} is full" if free < _ALMOST_NOTHING_BYTES else ""


def follow(folder: Folder, process: ProcessId | None, progress: Progress, cancel: Cancel | None) -> EventLog:
    """Tell what the event file says until the process has ended; ours or another run's.

    The first `cancel` sends one SIGINT, upon which Terraform ends what it is doing and saves its state
    (a second would make it drop everything); `forced` kills it and what it has started.
    """
    story, reader = EventLog(), Tail(folder.events)
    asked = False

    def observe() -> bool | Pending:
        nonlocal asked
        alive = process is not None and process.alive
        reader.feed(story, progress)
        if process is None or not alive:
            return True
        if cancel and cancel.forced:
            for each in (process, *session(process)):
                each.kill(signal.SIGKILL)
        elif cancel and cancel.requested and not asked:
            asked = process.kill(signal.SIGINT)
            progress.say("interrupted: waiting for Terraform to end and save its state")
        return Pending("running")

    # Not the caller's `cancel`: having passed it on, we wait for the clean end.
    wait_until("Terraform", observe, seconds=_LONGEST_SECONDS, longest_delay=0.1)
    if process and cancel and cancel.requested:
        _end_session(process)
    return story


def session(leader: ProcessId) -> tuple[ProcessId, ...]:
    """Who else lives in the session of a Terraform: what it has started, which may outlive it.

    The kernel gives no pid out again while it is the id of a session with members. So when another
    process has the leader's, the session has ended.
    """
    if ProcessId.of(leader.pid) not in (None, leader):
        return ()
    import psutil

    found = (ProcessId.of(pid) for pid in psutil.pids() if pid != leader.pid and _session(pid) == leader.pid)
    return tuple(each for each in found if each)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _end_session(leader: ProcessId) -> None:
    """Interrupted, Terraform kills the shell of a provisioner, and not what the shell had started."""
    first = True

    def observe() -> bool | Pending:
        nonlocal first
        left = session(leader)
        for each in left:
            each.kill(signal.SIGTERM if first else signal.SIGKILL)
        first = False
        return Pending(f"{len(left)} processes") if left else True

    wait_until("the end of what Terraform had started", observe, seconds=30, first_delay=_GRACE_SECONDS)


def recorded_process(folder: Folder) -> ProcessId | None:
    """The Terraform of the last run, alive or not; None when it did not get as far as to start."""
    stat = _text(folder.process)
    if not stat.endswith("\n"):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the program's name may hold blanks and brackets
    return ProcessId(int(stat.split()[0]), int(fields[19]))


def _spelt(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def json_text(variables: Mapping[str, Any]) -> str:
    import json

    return json.dumps(variables, indent=1, sort_keys=True)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
