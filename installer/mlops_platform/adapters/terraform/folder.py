"""An environment's Terraform folder and the record of its last run."""

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
_FIELDS = {"unmade": "incomplete"}  # the name in run.json, which earlier versions read and wrote


@dataclass(frozen=True)
class Run:
    """The record of one apply or destroy.

    `ended` is '' until the result is known. `serial` is the state's serial at the start, later at the end,
    None without a state. `boot` is the boot id: pids are valid only within one boot. `incomplete` are tainted
    objects of that state whose creation failed.
    """

    operation: Operation
    digest: str
    boot: str
    since: str
    ended: Ended
    serial: int | None
    lineage: str
    incomplete: Collection[str] = ()


@dataclass(frozen=True)
class Folder:
    """Files of one environment: `root` is the root module, `path` the folder with state and records.

    The state may be `remote` instead. If `linked`, or if Terraform would write into the root, Terraform runs
    in a folder with links to the root's files.
    """

    root: Path
    path: Path
    remote: Remote | None = None
    linked: bool = False

    @property
    def state(self) -> Path:
        """The state file, if the state is not remote."""
        return self.path / "terraform.tfstate"

    @property
    def backup(self) -> Path:
        """Terraform's backup: the state before the last run that wrote one."""
        return self.path / "terraform.tfstate.backup"

    @property
    def errored(self) -> Path:
        """The state that Terraform saves in its working directory if it cannot write it to the backend."""
        return self.work / "errored.tfstate"

    @property
    def work(self) -> Path:
        """Terraform's working directory: the root, or a folder with links to its files.

        A state in a local file uses the root: if the state's disk is full, `errored` is on another disk.
        """
        away = self.linked or self.remote is not None or self.imports_file.exists()
        return self.path / "root" if away else self.root

    @property
    def imports_file(self) -> Path:
        """Objects that exist and are in no state: the next apply imports them (address: id)."""
        return self.path / "adopted.json"

    def imports(self) -> dict[str, str]:
        found: dict[str, str] = (
            json.loads(self.imports_file.read_text()) if self.imports_file.exists() else {}
        )
        return found

    def set_imports(self, found: Mapping[str, str]) -> None:
        """Replace the list of objects to import."""
        if found:
            write_private(self.imports_file, json.dumps(dict(found), indent=1))
        else:
            self.imports_file.unlink(missing_ok=True)

    def link(self) -> None:
        """Link the root's files into `work` and write an `import` block for each object to import."""
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
            f"import {{\n  to = {to}\n  id = {json.dumps(id_)}\n}}\n" for to, id_ in self.imports().items()
        ]
        write_private(self.work / "adopted.tf", "\n".join(blocks))

    @property
    def data(self) -> Path:
        """TF_DATA_DIR: the providers and the backend's configuration."""
        return self.path / "data"

    @property
    def variables(self) -> Path:
        return self.path / "terraform.tfvars.json"

    @property
    def plan(self) -> Path:
        """The saved plan; it contains the variables too."""
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
        """/proc/PID/stat of the running Terraform, written by its shell before it starts Terraform."""
        return self.path / "process"

    @property
    def initialised(self) -> Path:
        """The root, binary and backend of the last `init`."""
        return self.path / "initialised"

    @property
    def where(self) -> str:
        """The state's place, for messages."""
        return self.remote.where if self.remote else str(self.state)

    def backend_config(self) -> Mapping[str, str | bool]:
        return self.remote.config() if self.remote else {"path": str(self.state)}

    def read(self) -> State | Unreadable | None:
        """The current state; None if there is none."""
        if self.remote is None:
            return state.read(self.state)
        text = self.remote.read()
        return None if text is None else state.parse(text)

    def write(self, text: str) -> None:
        """Write a whole state to its place."""
        if self.remote:
            self.remote.write(text)
        else:
            write_private(self.state, text)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def run(self) -> Run | None:
        """The last run; None if there was none."""
        try:
            data = json.loads((self.path / "run.json").read_text())
        except FileNotFoundError:
            return None
        return Run(**{_FIELDS.get(name, name): value for name, value in data.items()})

    def record(self, run: Run) -> None:
        names = {field: name for name, field in _FIELDS.items()}
        data = {names.get(field, field): value for field, value in asdict(run).items()}
        write_private(self.path / "run.json", json.dumps(data, indent=1))

    def begin(self, operation: Operation, digest: str) -> Run:
        """Record a run as unfinished before it starts."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        serial, lineage = self._known()
        run = Run(operation, digest, boot_id(), now, "", serial, lineage, sorted(self.incomplete()))
        for rest in (self.events, self.stderr_lines, self.process):
            rest.unlink(missing_ok=True)
        self.record(run)
        return run

    def end(self, run: Run, ended: Ended, log: EventLog) -> None:
        """Record the result of a run and the incomplete objects it left."""
        found = self.read()
        serial, lineage = (found.serial, found.lineage) if isinstance(found, State) else (None, "")
        tainted = found.tainted if isinstance(found, State) else frozenset()
        incomplete = sorted({*run.incomplete, *log.incomplete} & tainted)
        self.record(replace(run, ended=ended, serial=serial, lineage=lineage, incomplete=incomplete))

    def incomplete(self) -> frozenset[str]:
        """Tainted objects whose creation failed or was interrupted, so that they hold no data.

        A `terraform taint` by hand looks the same in the state, so the record counts only while the state is
        the one that our last run left.
        """
        run = self.run()
        if run is None or not run.incomplete or (run.serial, run.lineage) != self._known():
            return frozenset()
        return frozenset(run.incomplete)

    def _known(self) -> tuple[int | None, str]:
        found = self.read()
        return (found.serial, found.lineage) if isinstance(found, State) else (None, "")

    def lost(self) -> str:
        """The reason why a state that must exist cannot be read; '' if there is no problem.

        A missing or empty file is no problem as long as no run has left a state.
        """
        found, run = self.read(), self.run()
        if isinstance(found, State):
            return ""
        if isinstance(found, Unreadable) and not found.empty:
            return found.why
        expected = run is not None and run.serial is not None
        return (found.why if found else "it is not there") if expected else ""

    def rescued(self) -> State | None:
        """The `errored` state if it is newer than ours and of our last run; others may share the root."""
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
        """Digest of all files of the root module, including the lock file of its providers."""
        digest = hashlib.sha256()
        for file in sorted(self.root.rglob("*")):
            inside = file.relative_to(self.root)
            # Not files left by a manual run in the root, and not its tests.
            if (
                file.is_file()
                and inside.parts[0] not in (".terraform", "tests")
                and ".tfstate" not in file.name
            ):
                digest.update(f"{inside}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
        return digest.hexdigest()

    def digest(self, variables: Mapping[str, Any], binary: str) -> str:
        """Digest of everything that decides the result of an apply."""
        text = json.dumps([self.root_digest(), variables, binary], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def boot_id() -> str:
    return _BOOT.read_text().strip()
