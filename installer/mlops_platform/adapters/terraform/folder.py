"""Owns what lies in an environment's Terraform folder, and the record of its last run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from mlops_platform.adapters.terraform import state
from mlops_platform.adapters.terraform.events import EventLog
from mlops_platform.adapters.terraform.remote import Remote
from mlops_platform.adapters.terraform.state import State, Unreadable
from mlops_platform.base.files import write_private

Operation = Literal["apply", "destroy"]
Ended = Literal["", "done", "failed"]
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Run:
    """One apply or destroy. `ended` is '' until it is known how; `serial` is that of the state at its
    start and then at its end, None where there was no state; `boot` says whether pids still count;
    `unmade` are objects of that state which no run has ever made completely."""

    operation: Operation
    digest: str
    boot: str
    since: str
    ended: Ended
    serial: int | None
    lineage: str
    unmade: Collection[str] = ()


@dataclass(frozen=True)
class Folder:
    """`root` is the root module; `path` is ours. The state lies in it, or `remote`.

    With `linked`, and wherever Terraform would write beside it, the root is linked and not used itself.
    """

    root: Path
    path: Path
    remote: Remote | None = None
    linked: bool = False

    @property
    def state(self) -> Path:
        """The file, when the state is not remote."""
        return self.path / "terraform.tfstate"

    @property
    def backup(self) -> Path:
        """Written by Terraform: the state as the last run that wrote one found it."""
        return self.path / "terraform.tfstate.backup"

    @property
    def errored(self) -> Path:
        """Where Terraform puts a state it could not write to its place: its working directory."""
        return self.work / "errored.tfstate"

    @property
    def work(self) -> Path:
        """Where Terraform runs: the root, or its files linked, where what it writes beside them stays ours.

        A state that is a file here had better be saved elsewhere when its disk is full: in the root.
        """
        away = self.linked or self.remote is not None or self.adopted.exists()
        return self.path / "root" if away else self.root

    @property
    def adopted(self) -> Path:
        """Objects that exist and are in no state: the next apply takes them in (address: id)."""
        return self.path / "adopted.json"

    def adoptions(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.adopted.read_text()) if self.adopted.exists() else {}
        return found

    def adopt(self, found: Mapping[str, str]) -> None:
        """All of them; {}: none any more."""
        if found:
            write_private(self.adopted, json.dumps(dict(found), indent=1))
        else:
            self.adopted.unlink(missing_ok=True)

    def link(self) -> None:
        """Make `work` what the root is now, with a block for each object to be taken in."""
        if self.work == self.root:
            return
        self.work.mkdir(parents=True, exist_ok=True, mode=0o700)
        for file in self.work.iterdir():
            if file.is_symlink():
                file.unlink()
        for file in self.root.iterdir():
            if not (file.name in (".terraform", "tests") or ".tfstate" in file.name):
                (self.work / file.name).unlink(missing_ok=True)
                (self.work / file.name).symlink_to(file)
        blocks = [
            f"import {{\n  to = {to}\n  id = {json.dumps(id_)}\n}}\n" for to, id_ in self.adoptions().items()
        ]
        write_private(self.work / "adopted.tf", "\n".join(blocks))

    @property
    def data(self) -> Path:
        """TF_DATA_DIR: providers, and where the backend is."""
        return self.path / "data"

    @property
    def variables(self) -> Path:
        return self.path / "terraform.tfvars.json"

    @property
    def plan(self) -> Path:
        """A plan that waits to be applied, or refused; it holds the variables too."""
        return self.path / "plan.tfplan"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def stderr_lines(self) -> Path:
        """Terraform's stderr: warnings about its own configuration, crashes."""
        return self.path / "events.err"

    @property
    def process(self) -> Path:
        """/proc/PID/stat of the running Terraform, written by itself before it starts."""
        return self.path / "process"

    @property
    def initialised(self) -> Path:
        """What `init` was last done for."""
        return self.path / "initialised"

    @property
    def where(self) -> str:
        """The state's place, for people."""
        return self.remote.where if self.remote else str(self.state)

    def backend_config(self) -> Mapping[str, str | bool]:
        return self.remote.config() if self.remote else {"path": str(self.state)}

    def read(self) -> State | Unreadable | None:
        """The state as it is now; None when there is none."""
        if self.remote is None:
            return state.read(self.state)
        text = self.remote.read()
        return None if text is None else state.parse(text)

    def write(self, text: str) -> None:
        """Put a whole state in its place."""
        if self.remote:
            self.remote.write(text)
        else:
            write_private(self.state, text)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def run(self) -> Run | None:
        """The last run; None when there was none."""
        try:
            return Run(**json.loads((self.path / "run.json").read_text()))
        except FileNotFoundError:
            return None

    def record(self, run: Run) -> None:
        write_private(self.path / "run.json", json.dumps(asdict(run), indent=1))

    def begin(self, operation: Operation, digest: str) -> Run:
        """Record a run before it starts: from now on the last one is this, and unfinished."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        serial, lineage = self._known()
        run = Run(operation, digest, boot_id(), now, "", serial, lineage, sorted(self.unmade()))
        for rest in (self.events, self.stderr_lines, self.process):
            rest.unlink(missing_ok=True)
        self.record(run)
        return run

    def end(self, run: Run, ended: Ended, story: EventLog) -> None:
        """Record how a run ended, and what it left half made."""
        found = self.read()
        serial, lineage = (found.serial, found.lineage) if isinstance(found, State) else (None, "")
        tainted = found.tainted if isinstance(found, State) else frozenset()
        unmade = sorted({*run.unmade, *story.unmade} & tainted)
        self.record(replace(run, ended=ended, serial=serial, lineage=lineage, unmade=unmade))

    def unmade(self) -> frozenset[str]:
        """Objects that exist in part, for the next apply to replace: their creation failed, or was
        interrupted, and nothing can have been put into them.

        Terraform marks what somebody taints by hand no differently. So this holds only while the state is
        the one our last run has left.
        """
        run = self.run()
        if run is None or not run.unmade or (run.serial, run.lineage) != self._known():
            return frozenset()
        return frozenset(run.unmade)

    def _known(self) -> tuple[int | None, str]:
        found = self.read()
        return (found.serial, found.lineage) if isinstance(found, State) else (None, "")

    def lost(self) -> str:
        """Why a state that must be there is not, in words; '' when all is well.

        No state, or an empty file, is well as long as no run has ever left one.
        """
        found, run = self.read(), self.run()
        if isinstance(found, State):
            return ""
        if isinstance(found, Unreadable) and not found.empty:
            return found.why
        expected = run is not None and run.serial is not None
        return (found.why if found else "it is not there") if expected else ""

    def rescued(self) -> State | None:
        """A newer state than ours that the last run had to leave in the root, which others may share."""
        run, rescued = self.run(), state.read(self.errored)
        if run is None or run.ended == "done" or not isinstance(rescued, State):
            return None
        ours = self.read()
        if isinstance(ours, State):
            newer = (rescued.lineage, True) == (ours.lineage, rescued.serial > ours.serial)
        elif run.lineage:
            newer = rescued.lineage == run.lineage
        else:
            since = datetime.fromisoformat(run.since).timestamp()
            newer = self.errored.stat().st_mtime >= since
        return rescued if newer else None

    def root_digest(self) -> str:
        """Of every file of the root module, the lock file of its providers among them."""
        digest = hashlib.sha256()
        for file in sorted(self.root.rglob("*")):
            inside = file.relative_to(self.root)
            # What running the root by hand leaves there is not part of it; its tests are not either.
            if (
                file.is_file()
                and inside.parts[0] not in (".terraform", "tests")
                and ".tfstate" not in file.name
            ):
                digest.update(f"{inside}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
        return digest.hexdigest()

    def digest(self, variables: Mapping[str, Any], binary: str) -> str:
        """Of all that decides what an apply does."""
        text = json.dumps([self.root_digest(), variables, binary], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def boot_id() -> str:
    return _BOOT.read_text().strip()
