"""A running Terraform: its arguments and environment, its events, its end."""

from __future__ import annotations

import os
import shutil
import signal
import sys
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
# The shell writes its own /proc/PID/stat and then execs Terraform: if we wrote the file, a kill in between
# would leave an unrecorded process.
_RECORD_PROCESS = 'read -r stat </proc/$$/stat && echo "$stat" >"$0" && exec "$@"'
_GRACE_SECONDS = 1.0
_ALMOST_NOTHING_BYTES = 1_000_000


@dataclass(frozen=True)
class ExitResult:
    """The end of a Terraform: `returncode` is negative for a signal, None if it was not our child."""

    log: EventLog
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
        """True if the last `init` was for this root, binary and backend."""
        done = self.folder.initialised
        return self.folder.data.is_dir() and done.exists() and done.read_text() == self._wanted()

    def init(self, progress: Progress, cancel: Cancel | None) -> None:
        """Run `init` unless it is ready."""
        folder = self.folder
        folder.link()
        if self.ready:
            return
        folder.initialised.unlink(missing_ok=True)
        progress.say("init")
        flags: dict[str, Any] = {
            "input": False,
            "backend_config": {k: _spelt(v) for k, v in folder.backend_config().items()},
            # Without this, `init` asks about a migration after the state folder was moved.
            "reconfigure": True,
            # The root may be shared and read-only; a lock file that does not fit is an error.
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
            hint="make its providers available: from the registry, a mirror, or a plugin cache",
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
        """Start Terraform and follow it to its end; the caller has recorded the run.

        `plan` is a saved plan to apply, `only` limits the run to these addresses (`-target`).
        """
        self.folder.link()
        write_private(self.folder.variables, json_text(variables))
        flags: dict[str, Any] = {"json": True, "input": False, "lock_timeout": _LOCK_TIMEOUT}
        if plan is None:
            flags |= {"auto_approve": True, "var_file": str(self.folder.variables), "target": list(only)}
        argv = self.argv(operation, *([str(plan)] if plan else []), **flags)
        child = spawn(
            ["/bin/sh", "-c", _RECORD_PROCESS, str(self.folder.process), *argv],
            stdout=self.folder.events,
            stderr=self.folder.stderr_lines,
            env=self.environment(),
            cwd=self.folder.work,
        )
        log = follow(self.folder, ProcessId.of(child.pid), progress, cancel)
        return ExitResult(log, child.wait())

    def state_rm(self, addresses: Sequence[str], cancel: Cancel | None) -> None:
        """Remove objects from the state; the objects themselves stay. Raises CommandFailed."""
        run(
            self.argv("state rm", *addresses, lock_timeout=_LOCK_TIMEOUT),
            env=self.environment(),
            cwd=self.folder.work,
            seconds=_INIT_SECONDS,
            cancel=cancel,
        )

    def argv(self, command: str, *arguments: str, **flags: Any) -> list[str]:
        """The command line. python-terraform writes the flags; it runs no program (docs/terraform.md)."""
        from python_terraform import IsFlagged  # imported at use: start-up time
        from python_terraform import Terraform as Library

        # Its constructor would parse any terraform.tfstate in the working directory.
        library = Library(working_dir=os.devnull, terraform_bin_path=str(self.binary.path))
        spelt = {name: IsFlagged if value is True else value for name, value in flags.items()}
        made: list[str] = library.generate_cmd_string(command, *arguments, **spelt)
        return made

    def environment(self) -> dict[str, str]:
        """Variables for Terraform; the user's TF_WORKSPACE and TF_CLI_ARGS are for another state."""
        foreign = (n for n in os.environ if n == "TF_WORKSPACE" or n.startswith("TF_CLI_ARGS"))
        return {
            **dict.fromkeys(foreign, ""),
            "TF_DATA_DIR": str(self.folder.data),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "MLOPS_PLATFORM_PYTHON": sys.executable,  # for destroy provisioners, which read no variable
        }

    def command(self, operation: str) -> str:
        """The same command for a shell: with readable output, and a question before it changes anything."""
        argv = [
            str(self.binary.path),
            f"-chdir={self.folder.work}",
            operation,
            f"-var-file={self.folder.variables}",
        ]
        return pasteable(argv, {"TF_DATA_DIR": str(self.folder.data)})

    def raise_for(self, operation: Operation, result: ExitResult, cancel: Cancel) -> None:
        """Raise the error of a run that did not succeed."""
        what = f"{self.binary.product} {operation}"
        why = result.log.why or tail(_text(self.folder.stderr_lines)) or self._full()
        if cancel.requested:
            saved = "it was killed" if cancel.forced else "its state is saved"
            raise Interrupted(
                f"{what}: interrupted; {saved}", why=why, hint="run the same command again to continue"
            )
        code = result.returncode or 0
        if code < 0:
            name = signal.Signals(-code).name
            raise StepError(
                f"{what}: killed ({name})",
                why=why or "by another process, or by the kernel because memory ran out",
                hint="run the same command again: it first finds the objects that were created",
                command="dmesg | tail",
                transient=True,
            )
        first = result.log.errors[0][0] if result.log.errors else f"exit {code}"
        raise CommandFailed(
            f"{what}: {first}",
            returncode=code,
            why=why,
            command=self.command(operation),
            hint="fix the cause and run the same command again; the created objects are in the state",
        )

    def _full(self) -> str:
        """A message about a full disk, for which Terraform cannot write its own."""
        free = shutil.disk_usage(self.folder.path).free
        return f"the disk of {self.folder.path} is full" if free < _ALMOST_NOTHING_BYTES else ""


def follow(folder: Folder, process: ProcessId | None, progress: Progress, cancel: Cancel | None) -> EventLog:
    """Report the events of a Terraform, ours or another run's, until its end.

    The first `cancel` sends one SIGINT: Terraform ends its current operations and saves its state (a second
    one would make it abort). `forced` kills Terraform and the processes it started.
    """
    log, reader = EventLog(), Tail(folder.events)
    asked = False

    def observe() -> bool | Pending:
        nonlocal asked
        alive = process is not None and process.alive
        reader.feed(log, progress)
        if process is None or not alive:
            return True
        if cancel and cancel.forced:
            for each in (process, *session(process)):
                each.kill(signal.SIGKILL)
        elif cancel and cancel.requested and not asked:
            asked = process.kill(signal.SIGINT)
            progress.say("interrupted: waiting for Terraform to end and save its state")
        return Pending("running")

    # Without the caller's `cancel`: it was passed on to Terraform, and we wait for the clean end.
    wait_until("Terraform", observe, seconds=_LONGEST_SECONDS, longest_delay=0.1)
    if process and cancel and cancel.requested:
        _end_session(process)
    return log


def session(leader: ProcessId) -> tuple[ProcessId, ...]:
    """The other processes in the session of a Terraform: its provisioners, which may outlive it.

    The kernel does not reuse a pid that is the id of a session with members. So if another process has the
    leader's pid, the session has ended.
    """
    if ProcessId.of(leader.pid) not in (None, leader):
        return ()
    import psutil  # imported at use: start-up time

    found = (ProcessId.of(pid) for pid in psutil.pids() if pid != leader.pid and _session(pid) == leader.pid)
    return tuple(each for each in found if each)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _end_session(leader: ProcessId) -> None:
    """End the provisioners: an interrupted Terraform kills their shell, but not the shell's children."""
    first = True

    def observe() -> bool | Pending:
        nonlocal first
        left = session(leader)
        for each in left:
            each.kill(signal.SIGTERM if first else signal.SIGKILL)
        first = False
        return Pending(f"{len(left)} processes") if left else True

    wait_until("the end of Terraform's provisioners", observe, seconds=30, first_delay=_GRACE_SECONDS)


def recorded_process(folder: Folder) -> ProcessId | None:
    """The Terraform of the last run, alive or not; None if it never started."""
    stat = _text(folder.process)
    if not stat.endswith("\n"):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the program's name may contain blanks and brackets
    return ProcessId(int(stat.split()[0]), int(fields[19]))


def _spelt(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def json_text(variables: Mapping[str, Any]) -> str:
    import json  # imported at use: start-up time

    return json.dumps(variables, indent=1, sort_keys=True)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
